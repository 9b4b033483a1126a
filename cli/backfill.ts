import { runOverClerk } from "./run_over_clerk.ts";
import { runCommand } from "./usage.ts";

const HELP =
  `Brings every user, organization, membership, invitation, role and permission from Clerk's API into
the tables. Deletes nothing, and what is newer here stays.

  deno task backfill              everything; resumes one that was stopped
  deno task backfill --dry-run    lists what would change, and writes nothing
  deno task backfill --quiet      announces nothing on the queue clerk_changes
  deno task backfill --restart    starts over

  --json        prints JSON, one object per line, the summary last
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  Needs CLERK_SECRET_KEY, SUPABASE_URL and SUPABASE_SECRET_KEY, in the environment or in that file; the
  environment wins. CLERK_API_URL replaces https://api.clerk.com.

  Ctrl-C stops it after the page at hand. Exit codes: 0 done, 1 failed or stopped, 2 wrong usage, 3 done,
  but some objects were skipped.
`;

if (import.meta.main) await runCommand((args) => runOverClerk("backfill", args), HELP);
