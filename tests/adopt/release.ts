import { fileURLToPath } from "node:url";
import { copyFolder } from "../deploy/checkout_copy.ts";
import { InstallRecord } from "../../adopt/record.ts";
import { readSource, type Source } from "../../adopt/source.ts";

// Release 0.9.0 is invented, so that an upgrade can be tried before there are two releases. It is frozen as
// files: the project as its init left it, with one migration, the functions and the record. What differs
// from today: profiles has no legal_accepted_at, clerk.actor_id() does not exist and clerk_sync.in_words says
// less, profiles_select_own lets banned people read, and the queue has a column more. Nothing of it is made
// from today's files, whose later changes must not change the old release.
//
// No migration of ours leads from 0.9.0 to 1.0.0, because 1.0.0 is the first release. The one that its
// release would have carried is in upgrade/, and aLaterRelease() has it in place of ours up to 1.0.0. The
// way from 0.9.0 goes on through the migrations of later releases.

const RELEASE = fileURLToPath(new URL("../fixtures/releases/0.9.0/", import.meta.url));
const RECORD_FILE = `${RELEASE}supabase/clerk-sync.json`;
const UPGRADE = "20261101000031_upgrade_from_0_9_0";

/** The last migration of 1.0.0. */
const LAST = "20261101000030_close_clerk_sync";

/** Frozen with 1.0.0. Until then, extend_upgrade.ts adds to it what a change of a migration asks for. */
export const UPGRADE_FILE = `${RELEASE}upgrade/${UPGRADE}.sql`;

/** A project with release 0.9.0 in a temporary folder. */
export interface ReleaseCopy extends AsyncDisposable {
  /** The folder that contains `supabase/`, without a slash at the end. */
  readonly dir: string;
}

export async function copyRelease(): Promise<ReleaseCopy> {
  const dir = await Deno.makeTempDir({ prefix: "clerk-sync-release-" });
  await copyFolder(`${RELEASE}supabase`, `${dir}/supabase`);
  return { dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

/** Today's files, with the migration that leads from 0.9.0 to them. */
export async function aLaterRelease(prefix: string): Promise<Source> {
  const sql = await Deno.readTextFile(UPGRADE_FILE);
  const source = await readSource(prefix);
  const later = source.slices.filter(({ name }) => name > LAST);
  const record = InstallRecord.parse(JSON.parse(await Deno.readTextFile(RECORD_FILE)));
  // They are in the project's migration already.
  const installed = record.migrations.flatMap(({ slices }) => slices)
    .map((name) => ({ name, sql: "" }));
  return { ...source, slices: [...installed, { name: UPGRADE, sql }, ...later] };
}
