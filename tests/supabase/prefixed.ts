import { withPrefix } from "../../adopt/prefix.ts";
import { TABLES } from "../../local/postgres/is_ours.ts";

const NAMES = [...TABLES, "ensure_profile"].join("|");

/** A bare name where a statement or a pgTAP function expects a table or a function. */
const BARE = new RegExp(`(?<![\\w.">])(?=(?:${NAMES})\\b)`, "g");

/**
 * A pgTAP file for a database with a prefix. The files use bare names, too, because their search_path
 * contains public.
 */
export function prefixedPgtap(text: string, prefix: string): string {
  return withPrefix(text, prefix)
    .replace(BARE, prefix)
    // Policies and trigger functions keep the names that they have without a prefix.
    .replace(
      /our_relations\.name as table_name/g,
      `regexp_replace(our_relations.name, '^${prefix}', '') as table_name`,
    );
}
