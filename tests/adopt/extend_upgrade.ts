import { migrate } from "../../local/postgres/migrate.ts";
import { planUpgrade } from "../../adopt/upgrade.ts";
import { carryOut } from "../../adopt/plan.ts";
import { createDatabase } from "../../local/postgres/databases.ts";
import { schemaDifference } from "../../tools/dump_schema.ts";
import { startTestServer, TEMPLATE } from "../test_server.ts";
import { aLaterRelease, copyRelease, UPGRADE_FILE } from "./release.ts";

// Adds to the migration that leads from 0.9.0 to 1.0.0 what it lacks. Until 1.0.0 is released, run it after a
// change of any migration, and read what it added: deno run -A tests/adopt/extend_upgrade.ts
// Delete this file with the release: from then on no migration changes, and new ones come after this one.

/** The last statement says that the upgrade is complete. */
const END = "comment on schema clerk_sync is";

await using server = await startTestServer();
await using release = await copyRelease();
const name = "upgraded";
await createDatabase(server, name);
await migrate(server.url(name), () => {}, `${release.dir}/supabase/migrations`);
await carryOut(release.dir, (await planUpgrade(release.dir, aLaterRelease)).steps);
await migrate(server.url(name), () => {}, `${release.dir}/supabase/migrations`);

const lacking = await schemaDifference(server.superuserUrl(name), server.superuserUrl(TEMPLATE));
if (lacking.trim() === "") console.log("Nothing to add");
else {
  const text = await Deno.readTextFile(UPGRADE_FILE);
  const at = text.lastIndexOf(END);
  const extended = `${text.slice(0, at)}${lacking.trim()}\n\n${text.slice(at)}`;
  await Deno.writeTextFile(UPGRADE_FILE, extended);
  console.log(lacking);
}
