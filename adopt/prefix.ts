import { TABLES } from "../local/postgres/is_ours.ts";

/** Our functions in public whose names do not say that they are Clerk's. */
const PREFIXED_FUNCTIONS = ["ensure_profile"] as const;

/** Everything that a prefix renames. Indexes begin with the name of their table. */
const NAMES = [...TABLES, ...PREFIXED_FUNCTIONS].join("|");

/** Postgres cuts a name after 63 bytes, and our longest has 43. */
const PREFIX = /^[a-z][a-z0-9_]{0,19}$/;

/** Whether names can begin with a text. The empty prefix is none. */
export function isPrefix(text: string): boolean {
  return text === "" || PREFIX.test(text);
}

/**
 * SQL of ours with a prefix before the name of each table and index in public, and of ensure_profile.
 *
 * Our SQL qualifies each of these names by its schema, in strings and comments, too. Bare are only the
 * tables of columns (`profiles.id`), new indexes, and primary keys, which are indexes as well. Other
 * constraints, policies and triggers belong to a table, so they keep their names.
 */
export function withPrefix(sql: string, prefix: string): string {
  if (prefix === "") return sql;
  return sql
    .replace(new RegExp(`\\bpublic\\.(?=(?:${NAMES})(?:\\b|_))`, "g"), `public.${prefix}`)
    .replace(new RegExp(`(?<![\\w.])(?=(?:${NAMES})(?:\\.[a-z]|_pkey\\b))`, "g"), prefix)
    .replace(new RegExp(`\\b(create (?:unique )?index )(?=(?:${NAMES})_)`, "g"), `$1${prefix}`);
}

/** The other way round, for what Postgres tells of a database with a prefix. */
export function withoutPrefix(text: string, prefix: string): string {
  if (prefix === "") return text;
  return text.replace(
    new RegExp(`(?:(?<=\\bpublic\\.)|(?<![\\w.]))${prefix}(?=(?:${NAMES})(?![A-Za-z0-9]))`, "g"),
    "",
  );
}
