import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

// The variables that docs/configuration.md lists, compared with those that the functions name.

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const VARIABLE = "[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+";

async function sourcesBelow(folder: string): Promise<string> {
  let sources = "";
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) sources += await sourcesBelow(`${folder}/${name}`);
    else if (name.endsWith(".ts")) sources += await Deno.readTextFile(`${folder}/${name}`);
  }
  return sources;
}

/** What a pattern's only group matches, each once, sorted. */
function namesIn(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = ""]) => name))].sort();
}

Deno.test("the page lists every environment variable that a function reads, and no other", async () => {
  const page = await Deno.readTextFile(`${ROOT}docs/configuration.md`);
  const functions = await sourcesBelow(`${ROOT}functions`);

  assertEquals(
    namesIn(page, new RegExp(`^\\|[^|]*?(?:\\|\\s*)?\`(${VARIABLE})\``, "gm")),
    namesIn(functions, new RegExp(`"(${VARIABLE})"`, "g")),
  );
});
