import { runOverClerk } from "./run_over_clerk.ts";
import { runCommand } from "./usage.ts";

const HELP =
  `Compares the tables with Clerk's API and repairs what differs: adds what is missing, updates what is
outdated, and deletes users, organizations and memberships that Clerk no longer has.

  deno task reconcile                    compares and repairs; resumes one that was stopped
  deno task reconcile --dry-run          lists what differs, and writes nothing
  deno task reconcile --max-deletes 50   deletes up to 50 objects of each kind
  deno task reconcile --restart          starts over

  --quiet       announces nothing on the queue clerk_changes
  --json        prints JSON, one object per line, the summary last
  --env FILE    reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  Deletions are final, and erase the data of users. Without --max-deletes, at most 5 % of a kind are
  deleted, or one; if more are surplus, nothing is.

  Needs CLERK_SECRET_KEY, SUPABASE_URL and SUPABASE_SECRET_KEY, in the environment or in that file; the
  environment wins. CLERK_API_URL replaces https://api.clerk.com.

  Ctrl-C stops it after the page at hand. Exit codes: 0 done, 1 failed or stopped, 2 wrong usage, 3 the
  tables differ from Clerk.
`;

if (import.meta.main) await runCommand((args) => runOverClerk("reconcile", args), HELP);
