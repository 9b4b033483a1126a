import { assertRejects, assertStringIncludes } from "@std/assert";
import { copyFunctions, ENTRYPOINTS } from "./functions_copy.ts";

// The functions are adopted by copying them beside an application's own. That they compile there is
// tested together with a new handler.

Deno.test("a function that needs another file does not compile in the copy", async () => {
  await using copy = await copyFunctions();
  const path = "functions/clerk-webhook/handler.ts";
  const offender = 'import type { Database } from "../../supabase/database.types.ts";\n';
  await copy.write(path, offender + await copy.read(path));

  const error = await assertRejects(() => copy.deno("check", ...ENTRYPOINTS), Error);

  assertStringIncludes(error.message, "supabase/database.types.ts");
});
