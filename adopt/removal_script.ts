import { HEADER } from "./project.ts";
import type { Slice, Source } from "./source.ts";

const TEMPLATE = new URL("./removal.sql", import.meta.url);

/** The line of the template after which the script only writes. Up to there it only looks. */
const REMOVES = "  -- Then remove it";

export interface RemovalOptions {
  /** Whether our tables in public go, too. */
  readonly dropTables: boolean;
}

/** What the migrations made: names with their schemas, functions with the types of their arguments. */
export interface Inventory {
  readonly functions: readonly string[];
  readonly tables: readonly string[];
  /** Columns of the tables in public, as `profiles.email`. */
  readonly columns: readonly string[];
  readonly types: readonly string[];
  /** As `profiles_select_own on public.profiles`. */
  readonly policies: readonly string[];
  /** Names of queues. */
  readonly queues: readonly string[];
}

/** The SQL that removes everything that a source's migrations made, or nothing. */
export async function removalScript(
  source: Pick<Source, "version" | "slices">,
  options: RemovalOptions,
): Promise<string> {
  const head = `${HEADER}${source.version}: removes the sync. Written by \`uninstall\`.\n--\n`;
  return head + await filled(inventoryOf(source.slices), options);
}

/**
 * The first part of {@linkcode removalScript} alone. It fails with SQLSTATE 2BP01 when something uses the
 * sync, and with a list of that in JSON as its detail.
 */
export async function dependantsScript(
  source: Pick<Source, "slices">,
  options: RemovalOptions,
): Promise<string> {
  const script = await filled(inventoryOf(source.slices), options);
  return `${script.slice(0, script.indexOf(REMOVES))}end\n$uninstall$;\n`;
}

/** Whether a {@linkcode removalScript} drops our tables in public. */
export function dropsTables(script: string): boolean {
  return script.includes("\n  drop_tables constant boolean := true;\n");
}

async function filled(inventory: Inventory, { dropTables }: RemovalOptions): Promise<string> {
  const list = (names: readonly string[], between = ", "): string =>
    names.map((name) => `'${name}'`).join(between);
  const values: Readonly<Record<string, string>> = {
    drop_tables: String(dropTables),
    functions: list(inventory.functions, ",\n    "),
    tables: list(inventory.tables, ",\n    "),
    columns: list(inventory.columns, ",\n    "),
    types: list(inventory.types),
    policies: list(inventory.policies, ",\n    "),
    queues: list(inventory.queues),
    mention: `'${mentionOf(inventory, dropTables)}'`,
  };
  return (await Deno.readTextFile(TEMPLATE))
    .replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? "");
}

/** A regular expression of Postgres that finds a use of ours in SQL. */
function mentionOf({ functions, tables, queues }: Inventory, dropTables: boolean): string {
  const namesIn = (schema: string, names: readonly string[]): string =>
    [...new Set(names.filter((name) => name.startsWith(`${schema}.`)))]
      .map((name) => name.replace(/^\w+\.|\(.*$/g, "")).join("|");
  return [
    `\\mclerk_sync"?\\s*\\.`,
    `\\mclerk"?\\s*\\.\\s*"?(${namesIn("clerk", functions)})\\M`,
    `\\m(${namesIn("public", functions)})"?\\s*\\(`,
    `\\m[qa]?_?(${queues.join("|")})\\M`,
    // A table of that name in another schema is somebody else's.
    ...(dropTables
      ? [`((?<![\\w."])|\\mpublic"?\\s*\\.\\s*)"?(${namesIn("public", tables)})\\M`]
      : []),
  ].join("|");
}

/** Reads from our migrations what they make; nothing of it has to exist any longer. */
export function inventoryOf(slices: readonly Slice[]): Inventory {
  const sql = slices.map((slice) => slice.sql).join("\n");
  const all = (pattern: RegExp): string[] => [
    ...new Set([...sql.matchAll(pattern)].map(([, name = ""]) => name)),
  ];
  const tables = [...sql.matchAll(/^create table ([\w.]+) \(\n([^]*?)\n\)/gm)];
  return {
    functions: [
      ...new Set([...sql.matchAll(/^create (?:or replace )?function ([\w.]+)\(/gm)]
        .map((match) => signatureAt(sql, match[1] ?? "", match.index + match[0].length))),
    ],
    tables: [...new Set(tables.map(([, name = ""]) => name))],
    columns: [
      ...tables.filter(([, name = ""]) => name.startsWith("public."))
        .flatMap(([, name = "", body = ""]) =>
          columnsIn(body).map((column) => `${name.slice("public.".length)}.${column}`)
        ),
      ...[...sql.matchAll(/^alter table public\.(\w+)\s+add column (\w+)/gm)]
        .map(([, table, column]) => `${table}.${column}`),
    ],
    types: all(/^create type ([\w.]+) as/gm),
    policies: [...sql.matchAll(/^create policy (\w+)\s+on ([\w.]+)/gm)]
      .map(([, name, table]) => `${name} on ${table}`),
    queues: all(/^select pgmq\.create\('(\w+)'\)/gm),
  };
}

/** The columns in the parentheses of `create table`: one a line, two spaces before. */
function columnsIn(body: string): string[] {
  return [...body.matchAll(/^ {2}([a-z_]\w*) /gm)].map(([, name = ""]) => name)
    .filter((name) => !/^(?:constraint|primary|unique|check|foreign|exclude)$/.test(name));
}

/** A function as `to_regprocedure` reads it: its arguments begin at a place of the text. */
function signatureAt(sql: string, name: string, start: number): string {
  const parts = [""];
  let depth = 0;
  // Without its strings, which only defaults have.
  for (
    const character of sql.slice(start, sql.indexOf("\nreturns ", start)).replace(/'[^']*'/g, "''")
  ) {
    if (character === "(") depth++;
    if (character === ")" && depth-- === 0) break;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  const types = parts.map((part) => part.trim().replace(/\s+(?:default|=)\s[^]*$/, ""))
    .filter((part) => part !== "" && !part.startsWith("out "))
    .map((part) => part.replace(/^\w+\s+/, ""));
  return `${name}(${types.join(", ")})`;
}
