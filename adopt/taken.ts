import { TABLES } from "../local/postgres/is_ours.ts";
import { withPrefix } from "./prefix.ts";
import type { Slice, Source } from "./source.ts";

/** A name that we need, and that a file of the project takes. */
export interface Taken {
  /** What has the name, such as `table public.profiles`. */
  readonly what: string;
  /** The file that creates it. */
  readonly file: string;
  /** The type of its column `id`; undefined if there is none. */
  readonly idType: string | undefined;
  /** Whether a prefix is a way out. */
  readonly canBePrefixed: boolean;
}

/** One SQL file of a project. */
export interface SqlFile {
  readonly path: string;
  readonly text: string;
}

/** An identifier, possibly quoted, and possibly with its schema. */
const NAME = String.raw`(?:(?:"[^"]+"|[\w$]+)\s*\.\s*)?(?:"[^"]+"|[\w$]+)`;
const TYPES = "table|view|sequence|index|type|domain|function|procedure|schema";
/** What follows the first name of a statement that drops several. */
const MORE_NAMES = new RegExp(String.raw`^(?:\s*,\s*${NAME})+`);
const STATEMENT = new RegExp(
  String
    .raw`\b(create|drop|alter)\s+(?:or\s+replace\s+)?(?:(?:unlogged|foreign|materialized|unique)\s+)*(${TYPES})\s+(?:concurrently\s+)?(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?(${NAME})(?:\s+rename\s+to\s+(${NAME}))?`,
  "gi",
);

/**
 * The names of ours that the SQL of a project takes, as far as its text tells. A first look, so that people
 * learn of it early: the migration itself looks at the database before it changes anything.
 */
export function takenNames(files: readonly SqlFile[], { slices, prefix }: Source): Taken[] {
  const ours = namesOf(slices, prefix);
  const taken = new Map<string, Taken>();
  for (const { path, text } of files) {
    const sql = text.replace(/--[^\n]*|\/\*[^]*?\*\//g, " ");
    for (const match of sql.matchAll(STATEMENT)) {
      const [whole, verb = "", type = "", name = "", newName] = match;
      const isCreated = verb.toLowerCase() === "create";
      const isGone = verb.toLowerCase() === "drop" || newName !== undefined;
      const rest = sql.slice(match.index + whole.length);
      if (isGone) {
        const [others = ""] = MORE_NAMES.exec(rest) ?? [];
        for (const each of `${name}${others}`.split(",")) taken.delete(labelOf(type, each));
      }
      if (!isCreated && newName === undefined) continue;

      const label = labelOf(type, newName ?? name);
      if (!ours.has(label)) continue;
      taken.set(label, {
        what: `${type.toLowerCase()} ${label.replace(/^\w+ /, "")}`,
        file: path,
        idType: isCreated ? idTypeIn(rest) : undefined,
        canBePrefixed: withPrefix(label, "x_") !== label,
      });
    }
  }
  return [...taken.values()];
}

/** Everything that our migrations create and whose name somebody else may have, by its label. */
function namesOf(slices: readonly Slice[], prefix: string): Set<string> {
  const sql = slices.map((slice) => slice.sql).join("\n");
  const tables = TABLES.map((name) => `relation public.${prefix}${name}`);
  const indexes = [...sql.matchAll(/\bcreate (?:unique )?index (\w+)\s+on public\./g)]
    .map(([, name]) => `relation public.${name}`);
  const functions = [...sql.matchAll(/\bcreate (?:or replace )?function (public\.\w+)/g)]
    .map(([, name]) => `function ${name}`);
  const schemas = [...sql.matchAll(/\bcreate schema (\w+)/g)].map(([, name]) => `schema ${name}`);
  return new Set([...tables, ...indexes, ...functions, ...schemas]);
}

/** What names of one sort share, such as `relation public.profiles`. Names without a schema are in public. */
function labelOf(type: string, name: string): string {
  const parts = [...name.matchAll(/"([^"]+)"|([\w$]+)/g)]
    .map(([, quoted, bare = ""]) => quoted ?? bare.toLowerCase());
  if (/^schema$/i.test(type)) return `schema ${parts.at(-1)}`;
  const sort = /^(function|procedure)$/i.test(type) ? "function" : "relation";
  return `${sort} ${parts.length > 1 ? parts[0] : "public"}.${parts.at(-1)}`;
}

/** The type of the column `id` in what follows the name of a new table. */
function idTypeIn(sql: string): string | undefined {
  const [columns = ""] = sql.split(";");
  return /[(,]\s*"?id"?\s+([a-z]+)/i.exec(columns)?.[1]?.toLowerCase();
}
