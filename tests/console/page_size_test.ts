import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { gzipSync } from "node:zlib";
import { bundlePage } from "../../console/server/page.ts";

const AT_FIRST = ["index.html", "main.css", "main.js"];

Deno.test("what the console's page loads at first is less than 60 kB; only supabase-js is loaded later", async () => {
  const folder = await Deno.makeTempDir();
  await bundlePage(`${folder}/bundle`);

  const sizes = new Map<string, number>();
  const later: string[] = [];
  for await (const { name } of Deno.readDir(`${folder}/bundle`)) {
    const bytes = await Deno.readFile(`${folder}/bundle/${name}`);
    if (AT_FIRST.includes(name)) sizes.set(name, gzipSync(bytes).length);
    else later.push(new TextDecoder().decode(bytes));
  }
  await Deno.remove(folder, { recursive: true });

  assertEquals([...sizes.keys()].sort(), AT_FIRST);
  assertLess([...sizes.values()].reduce((sum, size) => sum + size, 0), 60_000);
  assertEquals(later.length, 1);
  assertStringIncludes(later[0] ?? "", "supabase-js");
});
