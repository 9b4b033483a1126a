import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

// Benchmarks, properties and faults share the model and the generator in tests/clerk. Benchmarks use nothing
// else of the tests, and tests/clerk uses no other test.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The imports of a source that it must not have. */
function offencesIn(path: string, text: string): string[] {
  return [...text.matchAll(/\b(?:from|import)\s*\(?"(\.[^"]+)"/g)]
    .map(([, specifier = ""]) => new URL(specifier, `file:///${path}`).pathname.slice(1))
    .filter((imported) => imported.startsWith("tests/") && !imported.startsWith("tests/clerk/"))
    .map((imported) => `${path} → ${imported}`);
}

async function offencesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await offencesBelow(path));
    else if (name.endsWith(".ts")) {
      found.push(...offencesIn(path, await Deno.readTextFile(`${ROOT}${path}`)));
    }
  }
  return found;
}

Deno.test("benchmarks import nothing of the tests but tests/clerk, which imports nothing of them", async () => {
  const planted = `import { a } from "../tests/clerk/a.ts";
import { b } from "../tests/b.ts";
import "../tests/c.ts";
const d = await import("../tests/d.ts");`;

  assertEquals([...await offencesBelow("bench"), ...await offencesBelow("tests/clerk")], []);
  assertEquals(offencesIn("bench/a.ts", planted), [
    "bench/a.ts → tests/b.ts",
    "bench/a.ts → tests/c.ts",
    "bench/a.ts → tests/d.ts",
  ]);
});
