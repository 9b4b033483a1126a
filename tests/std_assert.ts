// Deno's std, from npm, because it is there for everybody. Where JSR can be reached, map
// "@std/assert" to "jsr:@std/assert@1" in import_map.json and drop this file and its types.
// @ts-types="./std_assert.d.ts"
export * from "deno-std/assert";
