// Deno's std, from npm, because npm can be reached from everywhere. Where JSR can, too, take the
// line "links" out of deno.json, and this folder away: import_map.json names JSR already.
// @ts-types="./std_assert.d.ts"
export * from "deno-std/assert";
