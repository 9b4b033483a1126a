import { assertLess } from "@std/assert";
import { gzipSync } from "node:zlib";
import { bundlePage } from "../../console/server/page.ts";

Deno.test("all that the console's page loads is less than 60 kB", async () => {
  const folder = await Deno.makeTempDir();
  await bundlePage(`${folder}/bundle`);

  const sizes: number[] = [];
  for await (const { name } of Deno.readDir(`${folder}/bundle`)) {
    sizes.push(gzipSync(await Deno.readFile(`${folder}/bundle/${name}`)).length);
  }
  await Deno.remove(folder, { recursive: true });

  assertLess(sizes.reduce((sum, size) => sum + size, 0), 60_000);
  assertLess(2, sizes.length);
});
