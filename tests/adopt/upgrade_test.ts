import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { planInit } from "../../adopt/init.ts";
import { carryOut } from "../../adopt/plan.ts";
import { type InstallRecord, readRecord, recordText } from "../../adopt/record.ts";
import { readSource, versionOf } from "../../adopt/source.ts";
import { unifiedDiff } from "../../adopt/unified_diff.ts";
import { planUpgrade, upgradeText } from "../../adopt/upgrade.ts";
import { StartError } from "../../local/start_error.ts";
import { interruptBefore } from "./interrupt.ts";
import { aProject, filesBelow, FIXTURES } from "./projects.ts";
import { aLaterRelease, copyRelease } from "./release.ts";
import { type Run, runFile } from "../program.ts";

const RECORD = "supabase/clerk-sync.json";
const STATUS = "supabase/functions/clerk-worker/status.ts";
const NOW = new Date("2026-11-27T12:00:00Z");
const LATER = new Date("2026-11-28T12:00:00Z");

/** Runs the command as people do. */
function upgrade(...args: string[]): Promise<Run> {
  return runFile("cli/upgrade.ts", args);
}

async function recordIn(dir: string): Promise<InstallRecord> {
  const record = await readRecord(dir);
  if (record === undefined) throw new Error("There is no record");
  return record;
}

Deno.test("an upgrade replaces the functions, writes one migration, and a second one has nothing to do", async () => {
  await using release = await copyRelease();
  const config = await Deno.readTextFile(`${release.dir}/supabase/config.toml`);
  const source = await aLaterRelease("");

  const plan = await planUpgrade(release.dir, aLaterRelease, NOW);
  await carryOut(release.dir, plan.steps);

  assertEquals([plan.from, plan.edited], ["0.9.0", []]);
  const files = await filesBelow(release.dir);
  for (const [path, text] of Object.entries(source.files)) assertEquals(files[path], text, path);
  assertEquals(files["supabase/config.toml"], config);
  const migrations = Object.keys(files).filter((path) => path.endsWith(".sql")).sort();
  assertEquals(migrations, [
    "supabase/migrations/20260901120000_clerk_sync.sql",
    "supabase/migrations/20261127120000_upgrade_clerk_sync.sql",
  ]);
  const { version, migrations: recorded } = await recordIn(release.dir);
  assertEquals([version, recorded.length, recorded.flatMap(({ slices }) => slices)], [
    source.version,
    2,
    source.slices.map(({ name }) => name),
  ]);
  assertEquals((await planUpgrade(release.dir, aLaterRelease, LATER)).steps, []);
});

Deno.test("a file that somebody edited stays, and what is new in it is shown once", async () => {
  await using release = await copyRelease();
  const mine = "// mine\n" + await Deno.readTextFile(`${release.dir}/${STATUS}`);
  await Deno.writeTextFile(`${release.dir}/${STATUS}`, mine);

  const plan = await planUpgrade(release.dir, aLaterRelease, NOW);
  await carryOut(release.dir, plan.steps);

  assertEquals(await Deno.readTextFile(`${release.dir}/${STATUS}`), mine);
  assertEquals(plan.edited.map(({ path }) => path), [STATUS]);
  const text = upgradeText(plan);
  assertStringIncludes(text, `\n  leaves ${STATUS} alone, because it was edited\n`);
  assertMatch(text, /\n-\/\/ mine\n[^]*\n\+import \{ VERSION \} from "\.\/version\.ts";\n/);
  const again = await planUpgrade(release.dir, aLaterRelease, LATER);
  assertEquals([again.steps, again.edited], [[], []]);

  // Whoever wants the new version deletes the file.
  await Deno.remove(`${release.dir}/${STATUS}`);
  const { steps } = await planUpgrade(release.dir, aLaterRelease, LATER);
  assertEquals(steps.map(({ path }) => path), [STATUS]);
});

Deno.test("an edit of a file that the new version leaves as it was is nobody's business", async () => {
  await using release = await copyRelease();
  const path = "supabase/functions/clerk-webhook/index.ts";
  const { files } = await recordIn(release.dir);
  const source = await aLaterRelease("");
  const old = await Deno.readTextFile(`${release.dir}/${path}`);
  const same = { ...source, files: { ...source.files, [path]: old } };
  await Deno.writeTextFile(`${release.dir}/${path}`, `// mine\n${old}`);

  const { steps, edited } = await planUpgrade(release.dir, () => Promise.resolve(same));

  assertEquals([edited, steps.some((step) => step.path === path), path in files], [
    [],
    false,
    true,
  ]);
});

Deno.test("a file that the new version no longer has goes, unless somebody edited it", async () => {
  await using release = await copyRelease();
  const gone = [
    "supabase/functions/clerk-webhook/old.ts",
    "supabase/functions/clerk-webhook/mine.ts",
  ];
  const record = await recordIn(release.dir);
  const hash = record.files[STATUS] ?? "";
  const files = { ...record.files, [gone[0] ?? ""]: hash, [gone[1] ?? ""]: hash };
  await Deno.writeTextFile(`${release.dir}/${RECORD}`, recordText({ ...record, files }));
  const status = await Deno.readTextFile(`${release.dir}/${STATUS}`);
  await Deno.writeTextFile(`${release.dir}/${gone[0]}`, status);
  await Deno.writeTextFile(`${release.dir}/${gone[1]}`, `// mine\n${status}`);

  const plan = await planUpgrade(release.dir, aLaterRelease);
  await carryOut(release.dir, plan.steps);

  const left = await filesBelow(release.dir);
  assertEquals(gone.map((path) => path in left), [false, true]);
  assertStringIncludes(upgradeText(plan), `${gone[1]} is no longer part of clerk-sync`);
});

Deno.test("a new section of config.toml is added, and one that is there stays as it is", async () => {
  await using release = await copyRelease();
  const record = await recordIn(release.dir);
  const config = await Deno.readTextFile(`${release.dir}/supabase/config.toml`);
  await Deno.writeTextFile(
    `${release.dir}/supabase/config.toml`,
    config.replace(/\n\[functions\.clerk-worker\][^]*/, "").replace(
      "verify_jwt = false",
      "verify_jwt = true",
    ),
  );
  const older = { ...record, config: ["functions.clerk-webhook"] };
  await Deno.writeTextFile(`${release.dir}/${RECORD}`, recordText(older));
  const { steps } = await planUpgrade(release.dir, aLaterRelease);
  // All but the record, and then again, as after a kill.
  await carryOut(release.dir, steps.slice(0, -1));

  await carryOut(release.dir, (await planUpgrade(release.dir, aLaterRelease)).steps);

  const now = await Deno.readTextFile(`${release.dir}/supabase/config.toml`);
  assertStringIncludes(now, "verify_jwt = true");
  assertStringIncludes(now, "[functions.clerk-worker]");
  assertEquals((await recordIn(release.dir)).config, record.config);
});

Deno.test("after a SIGKILL before any step, upgrade comes to the end of an undisturbed one", async () => {
  const plan = async (dir: string, now: Date) => (await planUpgrade(dir, aLaterRelease, now)).steps;
  await using undisturbed = await copyRelease();
  const steps = await plan(undisturbed.dir, NOW);
  await carryOut(undisturbed.dir, steps);
  const withoutDate = (text: string): string => text.replace(/202611\d{8}(?=_upgrade)/g, "…");
  const expected = Object.values(await filesBelow(undisturbed.dir)).map(withoutDate).sort();

  for (const [number, step] of steps.entries()) {
    await using release = await copyRelease();
    await interruptBefore(number, { command: "upgrade", dir: release.dir, steps, now: NOW });

    await carryOut(release.dir, await plan(release.dir, LATER));

    const files = Object.values(await filesBelow(release.dir)).map(withoutDate).sort();
    assertEquals(files, expected, step.words);
    assertEquals(await plan(release.dir, LATER), []);
  }
});

Deno.test("what init has just written needs no upgrade, also with a prefix", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await carryOut(project.dir, (await planInit(project.dir, "crm_")).steps);
  const { version } = await readSource("crm_");

  const { code, out, error } = await upgrade("--dir", project.dir);

  assertEquals([code, out, error], [0, `Nothing to do: ${version} is installed`, ""]);
});

/** Has a project as if one migration had come with this version, and not with the one before. */
async function makeOlder(dir: string, prefix: string): Promise<void> {
  await carryOut(dir, (await planInit(dir, prefix)).steps);
  const record = await recordIn(dir);
  const [migration, ...rest] = record.migrations;
  if (migration === undefined) throw new Error("init wrote no migration");
  const slices = migration.slices.filter((name) => !name.includes("create_ensure_profile"));
  const older = { ...record, version: "0.9.9", migrations: [{ ...migration, slices }, ...rest] };
  await Deno.writeTextFile(`${dir}/${RECORD}`, recordText(older));
}

Deno.test("a migration of an upgrade has the names of the project's prefix", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await makeOlder(project.dir, "crm_");

  const { steps } = await planUpgrade(project.dir);

  assertMatch(steps[0]?.path ?? "", /_upgrade_clerk_sync\.sql$/);
  assertStringIncludes(steps[0]?.text ?? "", "create function public.crm_ensure_profile()");
});

Deno.test("upgrade asks first: without a terminal it writes nothing, and --dry-run exits 0", async () => {
  await using release = await aProject(FIXTURES.fresh);
  await makeOlder(release.dir, "");
  const files = await filesBelow(release.dir);

  const unasked = await upgrade("--dir", release.dir);
  const dry = await upgrade("--dir", release.dir, "--dry-run", "--json");

  assertEquals([unasked.code, dry.code], [2, 0]);
  assertMatch(unasked.error, /^Cannot ask for a confirmation without a terminal, .* --yes/);
  const { from, to, steps, is_done } = JSON.parse(dry.out);
  assertEquals([from, to, is_done], ["0.9.9", (await readSource("")).version, false]);
  assertEquals(steps.at(-1), { path: RECORD, words: `writes ${RECORD}` });
  assertEquals(await filesBelow(release.dir), files);

  const done = await upgrade("--dir", release.dir, "--yes");
  assertEquals([done.code, done.error], [0, ""]);
});

Deno.test("upgrade refuses what it cannot use, in a sentence", async () => {
  await using project = await aProject(FIXTURES.fresh);
  await using newer = await copyRelease();
  const record = await recordIn(newer.dir);
  await Deno.writeTextFile(`${newer.dir}/${RECORD}`, recordText({ ...record, version: "1.10.0" }));
  await using unknown = await copyRelease();
  await using empty = await copyRelease();
  await Deno.writeTextFile(`${empty.dir}/${RECORD}`, recordText({ ...record, migrations: [] }));

  for (
    const [args, code, sentence] of [
      [["--dir", project.dir], 1, /^Cannot upgrade as supabase\/clerk-sync\.json is missing: /],
      [
        ["--dir", newer.dir],
        1,
        /^Cannot upgrade as clerk-sync 1\.10\.0 is installed here, and this is 1\./,
      ],
      [
        ["--dir", unknown.dir, "--yes"],
        1,
        /^Cannot upgrade as clerk-sync 1\.\S+ has no migration 20260901000000_check_database, which supabase\/clerk-sync\.json names for 0\.9\.0: /,
      ],
      [
        ["--dir", empty.dir],
        1,
        /^Cannot upgrade as supabase\/clerk-sync\.json names no migrations: /,
      ],
      [["--nope"], 2, /^Unknown option '--nope'/],
    ] as const
  ) {
    const { code: got, out, error } = await upgrade(...args);
    assertEquals([got, out, error.split("\n").length], [code, "", 1]);
    assertMatch(error, sentence);
  }

  assertThrows(
    () => versionOf([{ name: "20261101000030_close_clerk_sync", sql: "select 1" }]),
    StartError,
    "Cannot read clerk-sync's own migrations as the last one, 20261101000030_close_clerk_sync, has no version: ",
  );
  const source = { ...await aLaterRelease(""), version: "1.9.0" };
  await assertRejects(() => planUpgrade(newer.dir, () => Promise.resolve(source)), Error, "1.10.0");
});

Deno.test("unifiedDiff() writes what leads from one text to the other, as diff -u does", () => {
  const lines = Array.from({ length: 30 }, (_, at) => `line ${at + 1}`);
  const changed = lines.with(1, "second").toSpliced(20, 1).toSpliced(28, 0, "added");
  const text = (of: readonly string[]): string => `${of.join("\n")}\n`;

  assertEquals(unifiedDiff("a.ts", text(lines), text(lines)), "");
  assertEquals(unifiedDiff("a.ts", text(lines), text(lines).replaceAll("\n", "\r\n")), "");
  assertEquals(
    unifiedDiff("a.ts", text(lines), text(changed)),
    [
      ...["--- a.ts", "+++ a.ts", "@@ -1,5 +1,5 @@", " line 1", "-line 2", "+second"],
      ...[" line 3", " line 4", " line 5"],
      ...["@@ -18,7 +18,6 @@", " line 18", " line 19", " line 20", "-line 21"],
      ...[" line 22", " line 23", " line 24"],
      ...["@@ -27,4 +26,5 @@", " line 27", " line 28", " line 29", "+added", " line 30"],
    ].join("\n"),
  );
});
