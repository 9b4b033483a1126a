import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { copyFunctions } from "./functions_copy.ts";

// The functions are adopted by copying them beside an application's own.

const ENTRYPOINTS = ["functions/clerk-webhook/index.ts", "functions/clerk-worker/index.ts"];

Deno.test("the functions compile beside an application's own _shared folder, and nothing else", async () => {
  await using copy = await copyFunctions();
  await copy.write("functions/_shared/log.ts", "export const log: string = 'not a function';\n");

  await copy.deno("check", ...ENTRYPOINTS);

  assertEquals(await copy.changed(), ["functions/_shared/log.ts"]);
});

Deno.test("a function that needs another file does not compile in the copy", async () => {
  await using copy = await copyFunctions();
  const path = "functions/clerk-webhook/handler.ts";
  const offender = 'import type { Database } from "../../supabase/database.types.ts";\n';
  await copy.write(path, offender + await copy.read(path));

  const error = await assertRejects(() => copy.deno("check", ...ENTRYPOINTS), Error);

  assertStringIncludes(error.message, "supabase/database.types.ts");
});
