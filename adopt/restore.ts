import { splitStatements } from "../local/postgres/migrate.ts";
import type { Difference, Facts } from "./shipped.ts";
import type { Source } from "./source.ts";

/** Roles to which default privileges may have granted something on a new object. */
const USUAL_ROLES = ["public", "anon", "authenticated", "service_role"];

/** The definitions of roles that `alter role` can set without a superuser. */
const PLAIN_ROLE = "nologin nocreaterole nocreatedb";

/** How to bring objects of ours back to what was shipped. */
export interface Restoration {
  /** Statements, in order. */
  readonly statements: readonly string[];
  /** The objects that no statement restores: those that hold data. */
  readonly byHand: readonly Difference[];
}

/** Plans how to restore what differs. Rows, and what the application added, stay as they are. */
export function restoration(
  differences: readonly Difference[],
  source: Source,
  objects: Facts,
): Restoration {
  const statements = source.slices.flatMap(({ sql }) => splitStatements(sql)).map(withoutComment);
  const byHand: Difference[] = [];
  const plan: { order: number; place: number; sql: readonly string[] }[] = [];
  for (const difference of differences) {
    const [, word = "", name = ""] = /^(grants on|\S+) (.*)$/.exec(difference.object) ?? [];
    const kind = KINDS[word];
    const sql = kind?.restore(name, difference, { statements, objects }) ?? [];
    if (kind === undefined || sql.length === 0) byHand.push(difference);
    else plan.push({ order: kind.order, place: placeOf(sql, statements), sql });
  }
  plan.sort((one, other) => one.order - other.order || one.place - other.place);
  return { statements: [...new Set(plan.flatMap(({ sql }) => sql))], byHand };
}

interface Migrations {
  /** All statements of the migrations. */
  readonly statements: readonly string[];
  readonly objects: Facts;
}

interface Kind {
  /** Functions come before what calls them, and grants come last. */
  readonly order: number;
  /** The statements; none if it cannot be restored. */
  readonly restore: (
    name: string,
    difference: Difference,
    migrations: Migrations,
  ) => readonly string[] | undefined;
}

const KINDS: Readonly<Record<string, Kind>> = {
  role: { order: 0, restore: restoreRole },
  function: {
    order: 1,
    restore: (name, { found }, { statements }) => {
      const plain = name.replace(/\(.*/, "");
      const made = about(statements, "create function", `${plain}(`)
        .map((text) => text.replace(/^create function/, "create or replace function"));
      // A new function has the default privileges, which the grants of the same name replace.
      return found === undefined
        ? [...made, `revoke all on function ${name} from ${USUAL_ROLES.join(", ")}`]
        : made;
    },
  },
  table: {
    order: 2,
    restore: (name, { shipped, found }) =>
      found === undefined || found.includes("unlogged") ? undefined : [
        `alter table ${name} enable row level security`,
        ...(found === `${shipped}, also for the owner`
          ? [`alter table ${name} no force row level security`]
          : []),
      ],
  },
  constraint: {
    order: 3,
    restore: (name, { shipped }) => {
      const [, constraint, table] = /^(\S+) on (.*)$/.exec(name) ?? [];
      return [
        `alter table ${table} drop constraint if exists ${constraint}, add constraint ${constraint} ${shipped}`,
      ];
    },
  },
  index: {
    order: 4,
    restore: (name, _, { statements }) => {
      const plain = name.replace(/^.*\./, "");
      const made = statements.filter((text) =>
        new RegExp(`^create (unique )?index ${plain}\\b`).test(text)
      );
      return made.length === 0 ? undefined : [`drop index if exists ${name}`, ...made];
    },
  },
  policy: { order: 5, restore: restorePart("policy") },
  trigger: { order: 5, restore: restorePart("trigger") },
  "grants on": { order: 6, restore: restoreGrants },
};

/** Where the migrations have the first of these statements, because functions call earlier ones. */
function placeOf([first = ""]: readonly string[], statements: readonly string[]): number {
  return statements.indexOf(first.replace(/^create or replace /, "create "));
}

function withoutComment(statement: string): string {
  return statement.replace(/^(?:\s*--[^\n]*(?:\n|$))+\s*/, "");
}

/** The statements that begin with words and a name. */
function about(statements: readonly string[], words: string, name: string): string[] {
  return statements.filter((text) => text.startsWith(`${words} ${name}`));
}

/** A policy or a trigger, which belongs to a table. */
function restorePart(kind: string): Kind["restore"] {
  return (name, _, { statements }) => {
    const [, part = "", table = ""] = /^(\S+) on (.*)$/.exec(name) ?? [];
    const made = about(statements, `create ${kind}`, part)
      .filter((text) => new RegExp(`\\son ${table.replaceAll(".", "\\.")}\\s`).test(text));
    return made.length === 0 ? undefined : [
      `drop ${kind} if exists ${part} on ${table}`,
      ...made,
      ...about(statements, `comment on ${kind}`, `${part} on ${table} `),
    ];
  };
}

function restoreRole(
  name: string,
  { found }: Difference,
  { statements }: Migrations,
): readonly string[] | undefined {
  if (found === undefined) return undefined;
  const listed = (words: string): string[] =>
    new RegExp(`\\b${words} (\\S+)`).exec(found)?.[1]?.split(",") ?? [];
  return [
    `alter role ${name} ${PLAIN_ROLE}`,
    `alter role ${name} reset all`,
    ...about(statements, "alter role", `${name} `),
    ...listed("member of").map((role) => `revoke ${role} from ${name}`),
    ...listed("granted to").filter((role) => role !== "authenticator")
      .map((role) => `revoke ${name} from ${role}`),
    `grant ${name} to authenticator`,
  ];
}

/** Revokes what is too much, and grants what is missing, right by right. */
function restoreGrants(
  name: string,
  { shipped, found = "" }: Difference,
  { objects }: Migrations,
): readonly string[] {
  const wanted = rights(shipped);
  const given = rights(found);
  const excess = given.filter((each) => !wanted.includes(each));
  // Whoever loses a right on a table loses it on each column, too.
  const lost = excess.length === 0
    ? []
    : Object.entries(objects).filter(([object]) =>
      object.startsWith(`grants on column ${name.replace("table ", "")}.`)
    );
  return [
    ...excess.map((each) => statementFor("revoke", each, name)),
    ...lost.flatMap(([object, text]) =>
      rights(text).filter((each) => excess.includes(each))
        .map((each) => statementFor("grant", each, object.replace("grants on ", "")))
    ),
    ...wanted.filter((each) => !given.includes(each))
      .map((each) => statementFor("grant", each, name)),
  ];
}

/** A statement about one right, such as `anon=SELECT*`, on an object, such as `column public.t.c`. */
function statementFor(verb: "grant" | "revoke", given: string, name: string): string {
  const [, role, privilege, star] = /^(.*)=(\w+)(\*?)$/.exec(given) ?? [];
  const [, table, column] = /^column (.*)\.(.*)$/.exec(name) ?? [];
  const target = table === undefined
    ? `${privilege} on ${name}`
    : `${privilege} (${column}) on ${table}`;
  if (verb === "revoke") return `revoke ${target} from ${role}`;
  return `grant ${target} to ${role}${star === "" ? "" : " with grant option"}`;
}

/** `anon=INSERT,SELECT` as `anon=INSERT` and `anon=SELECT`. */
export function rights(grants: string): string[] {
  return grants.split(" ").filter((each) => each !== "").flatMap((each) => {
    const [role, privileges = ""] = each.split("=");
    return privileges.split(",").map((privilege) => `${role}=${privilege}`);
  });
}
