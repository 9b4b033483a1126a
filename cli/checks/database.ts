import { installedMigrations } from "../../adopt/project.ts";
import { restoration, rights } from "../../adopt/restore.ts";
import { addedObjects, type Difference } from "../../adopt/shipped.ts";
import { readSource } from "../../adopt/source.ts";
import { VERSION } from "../../functions/clerk-worker/version.ts";
import { isOurs } from "../../local/postgres/is_ours.ts";
import shipped from "../../supabase/shipped.json" with { type: "json" };
import { databaseSentence } from "../project.ts";
import { type Finding, type Fix, NOT_INSPECTED, some, unknown, well, wrong } from "./check.ts";
import { BESIDE, type Inspection, type Installation, isBeside, prefixOf } from "./installation.ts";

// What is in the database: whether it answers, and whether everything of ours is as shipped.

/** PostgREST and Postgres do not know a function. */
const NO_FUNCTION = /^(?:PGRST202|42883)$/;

/** Runs a check on what the database tells about itself. */
async function withInspection(
  installation: Installation,
  check: (inspection: Inspection) => Finding | Promise<Finding>,
): Promise<Finding> {
  const found = await installation.inspect();
  return "error" in found ? NOT_INSPECTED : await check(found.value);
}

export async function checkDatabase({ inspect }: Installation): Promise<Finding> {
  const found = await inspect();
  if (!("error" in found) || NO_FUNCTION.test(found.error)) {
    return well("The database answers, and accepts the secret key.");
  }
  const [why = "", cure = ""] = databaseSentence(found.error, true)
    .replace(/^Cannot start as /, "").split(": ");
  return wrong(
    `${why[0]?.toUpperCase()}${why.slice(1)}.`,
    `${cure[0]?.toUpperCase()}${cure.slice(1)}.`,
  );
}

const APPLY = "Apply them: run `deno task deploy`, or `npx -y supabase@3.1.0 db push --remote`.";
const INSTALL =
  "Run `deno task deploy`; for a project of your own, run `deno task init` in its folder before.";
const APPLY_LOCAL = "Restart `deno task dev`, which applies them.";
const INSTALL_LOCAL =
  "Restart `deno task dev`, which applies what is missing; after an uninstall, " +
  "`deno task dev --reset` starts with an empty database.";

export async function checkMigrations(installation: Installation): Promise<Finding> {
  const { inspect, isLocal, project } = installation;
  const cure = isLocal ? APPLY_LOCAL : APPLY;
  const found = await inspect();
  if ("error" in found) {
    if (!NO_FUNCTION.test(found.error)) return NOT_INSPECTED;
    const status = await installation.status();
    return "value" in status && status.value.version !== VERSION
      ? wrong(
        `The database has clerk-sync ${status.value.version}, and this command is ${VERSION}.`,
        "Run `deno task upgrade` in your project, then `deno task deploy`.",
      )
      : wrong("The database lacks clerk-sync, or a part of it.", isLocal ? INSTALL_LOCAL : INSTALL);
  }
  const { installation: progress, migrations } = found.value;
  if (progress !== "installed") {
    return wrong(`Not every migration was applied (${progress ?? "unknown"}).`, cure);
  }
  if (isBeside(installation, found.value)) return unknown(BESIDE);
  const files = project === undefined ? [] : (project.record?.migrations.map(({ file }) => file) ??
    [...installedMigrations(project), ...project.migrations.filter(({ file }) => isOurs(file))]
      .map(({ file }) => file));
  if (files.length === 0) return well("All are applied, as the database says.");
  if (migrations === null) {
    return well("All are applied, as the database says; it keeps no record of their files.");
  }
  const missing = files.filter((file) => !migrations.includes(file.replace(/_.*/, "")));
  return missing.length === 0
    ? well(files.length === 1 ? "It is applied." : `All ${files.length} are applied.`)
    : wrong(`Not applied: ${some(missing, 3)}.`, cure);
}

/** Which objects each check looks at. */
const KINDS: Readonly<Record<string, (difference: Difference) => boolean>> = {
  tables: ({ object, found }) =>
    /^(?:column|constraint|index|trigger) /.test(object) ||
    (found === undefined && object.startsWith("table ")),
  rls: ({ object, found }) =>
    object.startsWith("policy ") || (found !== undefined && object.startsWith("table ")),
  grants: ({ object }) => object.startsWith("grants on "),
  functions: ({ object }) => object.startsWith("function "),
  roles: ({ object }) => object.startsWith("role "),
};

const AS_SHIPPED: Readonly<Record<string, string>> = {
  tables: "Columns, constraints, indexes and triggers are as shipped.",
  rls: "On everywhere, and the policies of clerk-sync are as shipped.",
  grants: "Every role has the rights that it needs, and no others.",
  functions: "All are as shipped.",
  roles: "clerk_ingest and clerk_worker are as shipped.",
};

/** A check of the objects of one kind, against what was shipped. */
export function checkShipped(kind: string): (installation: Installation) => Promise<Finding> {
  return (installation) =>
    withInspection(installation, async (inspection) => {
      const all = await installation.differences();
      if (all === undefined) {
        return unknown(
          `The schema has version ${inspection.version}, and only ${VERSION} can be compared here.`,
        );
      }
      const differences = all.filter((each) => KINDS[kind]?.(each));
      if (differences.length === 0) return well(AS_SHIPPED[kind] ?? "");

      const objects = differences.map(nameOf);
      const source = await readSource(prefixOf(inspection));
      const { statements, byHand } = restoration(differences, source, inspection.objects);
      // Functions, policies and rights name columns, so what holds data comes first.
      const isBlocked = kind !== "roles" && all.some(isLost);
      const then = isBlocked ? "Then run" : byHand.length === 0 ? "Run" : "Also run";
      const cure = [
        ...(byHand.length === 0 ? [] : [byHandText(byHand)]),
        ...(isBlocked && byHand.length === 0 ? ["First add what the check tables names."] : []),
        ...(statements.length === 0 ? [] : [
          `${then} \`deno task doctor --fix\`, which restores ${
            byHand.length === 0 ? "them" : "the rest"
          }.`,
        ]),
        ...(byHand.some(hasLostValues)
          ? ["After that, `deno task reconcile` brings the values back."]
          : []),
      ];
      return {
        ...wrong(
          `Not as shipped: ${some(objects)}.`,
          cure.join(" "),
          statements.length === 0 || isBlocked ? undefined : sqlFix(installation, statements),
        ),
        objects,
      };
    });
}

/** Whether a column or a table is missing. */
export function isLost({ object, found }: Difference): boolean {
  return found === undefined && /^(?:column|table) /.test(object);
}

/** Whether a column that Clerk fills is missing. */
function hasLostValues(each: Difference): boolean {
  return isLost(each) && each.object.startsWith("column public.") && !isComputed(each);
}

/** How to restore what holds data. Columns that are computed from others come after them. */
function byHandText(byHand: readonly Difference[]): string {
  const sorted = [...byHand].sort((one, other) =>
    Number(isComputed(one)) - Number(isComputed(other))
  );
  return `${byHand.some(isLost) ? "First run" : "Run"} this as \`postgres\`, or as a migration: ${
    some(sorted.map(statementOf), 12)
  }.`;
}

function isComputed({ shipped: wanted }: Difference): boolean {
  return wanted.includes(" generated ");
}

/** A column's definition in parts. */
function partsOf(definition: string): Record<"type" | "null" | "identity" | "value", string> {
  const [, type = "", isNull = "", identity = "", value = ""] =
    /^(.*?)( not null)?( identity \w)?( (?:default|generated) .*)?$/s.exec(definition) ?? [];
  return { type, null: isNull, identity, value };
}

/** A statement that makes a column what was shipped; of another object, where its definition is. */
function statementOf({ object, shipped: wanted, found }: Difference): string {
  const [, table, column] = /^column (.*)\.(.*)$/.exec(object) ?? [];
  if (table === undefined) return `the definition of ${object} in the migrations`;
  const here = partsOf(found ?? "");
  const there = partsOf(wanted);
  const value = there.value.replace(/^ generated (.*)$/s, " generated always as ($1) stored");
  const identity = there.identity === "" ? "" : " generated always as identity";
  if (found === undefined) {
    return `\`alter table ${table} add column ${column} ${there.type}${there.null}${identity}${value};\``;
  }
  const isGenerated = [here, there].some((each) => each.value.startsWith(" generated "));
  const changes = isGenerated && here.value !== there.value
    ? [`drop column ${column}`, `add column ${column} ${there.type}${there.null}${value}`]
    : [
      ...(here.type === there.type ? [] : [`alter column ${column} type ${there.type}`]),
      ...(here.value === there.value
        ? []
        : [`alter column ${column} ${value === "" ? "drop default" : `set${value}`}`]),
      ...(here.null === there.null
        ? []
        : [`alter column ${column} ${there.null === "" ? "drop" : "set"} not null`]),
    ];
  return changes.length === 0
    ? `the definition of ${object}, which is ${wanted}`
    : `\`alter table ${table} ${changes.join(", ")};\``;
}

/** The difference between what is and what should be, as short as it can be said. */
function nameOf({ object, shipped: wanted, found }: Difference): string {
  if (found === undefined) return `${object} (missing)`;
  if (object.startsWith("grants on ")) {
    const [here, there] = [rights(found), rights(wanted)];
    const excess = here.filter((each) => !there.includes(each));
    const lacking = there.filter((each) => !here.includes(each));
    const parts = [
      ...(excess.length === 0 ? [] : [`too much: ${excess.join(" ")}`]),
      ...(lacking.length === 0 ? [] : [`missing: ${lacking.join(" ")}`]),
    ];
    return `${object} (${parts.join("; ")})`;
  }
  const told = object.startsWith("table ")
    ? tableWords(found)
    : object.startsWith("role ")
    ? roleWords(found, wanted)
    : object.startsWith("column ")
    ? columnWords(found, wanted)
    : [];
  return told.length === 0 ? object : `${object} (${told.join(", ")})`;
}

function tableWords(found: string): string[] {
  return [
    ...(found.startsWith("no ") ? ["row-level security is off"] : []),
    ...(found.includes(", also for the owner") ? ["row-level security holds for its owner"] : []),
    ...(found.includes(", unlogged") ? ["unlogged"] : []),
  ];
}

function roleWords(found: string, wanted: string): string[] {
  const [here, there] = [found, wanted].map((text) =>
    text.replace(/\bmember of /g, "member_of ").replace(/\bgranted to /g, "granted_to ")
      .replace(
        /\b(set|member_of|granted_to) (\S+)/g,
        (_, word, list) => list.split(",").map((each: string) => `${word}:${each}`).join(" "),
      )
      .split(" ")
  );
  const words = (items: readonly string[], not: string): string[] =>
    items.map((item) =>
      not + item.replace(/^set:/, "").replace(/^member_of:/, "member of ")
        .replace(/^granted_to:/, "granted to ")
    );
  return [
    ...words((here ?? []).filter((each) => !there?.includes(each)), ""),
    ...words((there ?? []).filter((each) => !here?.includes(each) && each !== "nologin"), "not "),
  ];
}

function columnWords(found: string, wanted: string): string[] {
  const [here, there] = [partsOf(found), partsOf(wanted)];
  const told = [
    ...(here.type === there.type ? [] : [`${here.type}, not ${there.type}`]),
    ...(here.null === there.null ? [] : [here.null === "" ? "may be null" : "must not be null"]),
    ...(here.value === there.value
      ? []
      : [`${here.value.trim() || "no default"}, not ${there.value.trim() || "none"}`]),
  ];
  return told.length === 0 ? [`${found}, not ${wanted}`] : told;
}

/** Runs statements in one transaction. */
export function sqlFix({ runSql }: Installation, statements: readonly string[]): Fix {
  return {
    steps: statements.map((statement) => `${statement};`),
    run: runSql === undefined ? undefined : () => runSql(statements.join(";\n")),
  };
}

/** The application's policies on our tables, and which of them, and of those elsewhere, call auth.uid(). */
export function ownPolicies(
  inspection: Inspection,
): { readonly own: string[]; readonly failing: string[]; readonly elsewhere: string[] } {
  const { objects, uuid_policies: all } = inspection;
  const own = addedObjects("policy", shipped, objects, prefixOf(inspection))
    .map((object) => object.replace(/^policy /, ""));
  return {
    own,
    failing: own.filter((policy) => all.includes(policy)),
    elsewhere: all.filter((policy) => !own.includes(policy)),
  };
}

export function checkOwnPolicies(installation: Installation): Promise<Finding> {
  return withInspection(installation, (inspection) => {
    const { own, failing, elsewhere } = ownPolicies(inspection);
    if (failing.length > 0) {
      return wrong(
        `auth.uid() fails for Clerk's ids, which are no uuid, and these policies call it: ${
          some(failing)
        }.` + (elsewhere.length === 0 ? "" : ` On other tables: ${some(elsewhere)}.`),
        "Use `(select clerk.user_id())` in its place.",
      );
    }
    return well(
      (own.length === 0 ? "None on the tables of clerk-sync." : `Yours: ${some(own)}.`) +
        (elsewhere.length === 0
          ? ""
          : ` NOTE: auth.uid() fails for people who sign in with Clerk, and these call it: ${
            some(elsewhere)
          }.`),
    );
  });
}

export function checkRealtime(installation: Installation): Promise<Finding> {
  return withInspection(installation, ({ published, profiles }) => {
    if (published === null) return unknown("There is no publication supabase_realtime here.");
    const tables = [profiles, profiles.replace(/profiles$/, "organizations")];
    const missing = tables.filter((table) => !published.includes(table));
    if (missing.length === 0) return well("Profiles and organizations are published.");
    const statement = `alter publication supabase_realtime add table ${missing.join(", ")}`;
    return wrong(
      `Not published, so frontends get no live updates: ${missing.join(", ")}.`,
      `Run \`deno task doctor --fix\`, or \`${statement}\`.`,
      sqlFix(installation, [statement]),
    );
  });
}

export function checkExtensions(installation: Installation): Promise<Finding> {
  return withInspection(installation, ({ extensions, jobs }) => {
    if (!extensions.pgmq) {
      return wrong(
        "pgmq is not installed, so no change is queued.",
        "Run `create extension pgmq`. If its tables are gone, restore the database from a backup.",
      );
    }
    const isScheduled = Object.keys(jobs ?? {}).length > 0;
    if (isScheduled && !extensions.pg_net) {
      return wrong(
        "pg_net is not installed, so the schedule cannot call the worker.",
        "Run `deno task doctor --fix`, or `create extension pg_net with schema extensions`.",
        sqlFix(installation, ["create extension if not exists pg_net with schema extensions"]),
      );
    }
    const installed = Object.entries(extensions).filter(([, version]) => version !== null)
      .map(([name, version]) => `${name} ${version}`);
    return well(`Installed: ${installed.join(", ")}.`);
  });
}
