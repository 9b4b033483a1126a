import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

// Imports point one way: cli and local use what functions share; functions use nothing of theirs.

const ROOT = fileURLToPath(new URL("../", import.meta.url));

interface Source {
  readonly path: string;
  readonly text: string;
}

async function sourcesBelow(folder: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const entry of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) found.push(...await sourcesBelow(path));
    else if (path.endsWith(".ts")) {
      found.push({ path, text: await Deno.readTextFile(`${ROOT}${path}`) });
    }
  }
  return found;
}

/** The files of ours that a source imports, from the root of the tree. */
function importsOf({ path, text }: Source): string[] {
  const base = new URL(`file:///${path}`);
  return [...text.matchAll(/\bfrom "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)|\bimport "(\.[^"]+)"/g)]
    .map(([, ...specifiers]) => specifiers.find((specifier) => specifier !== undefined) ?? "")
    .map((specifier) => new URL(specifier, base).pathname.slice(1));
}

/** Every import from one place to another that the rule forbids. */
async function offences(
  from: string,
  isForbidden: (imported: string) => boolean,
): Promise<string[]> {
  const sources = await sourcesBelow(from);
  return sources.flatMap((source) =>
    importsOf(source).filter(isForbidden).map((imported) => `${source.path} → ${imported}`)
  );
}

Deno.test("functions import nothing but functions and the database's types", async () => {
  assertEquals(
    await offences(
      "functions",
      (path) => !path.startsWith("functions/") && path !== "supabase/database.types.ts",
    ),
    [],
  );
});

Deno.test("what functions share imports no function", async () => {
  assertEquals(
    await offences(
      "functions/_shared",
      (path) => !path.startsWith("functions/_shared/") && !path.startsWith("supabase/"),
    ),
    [],
  );
});

Deno.test("the local stack imports no command and no test", async () => {
  assertEquals(await offences("local", (path) => /^(cli|tests|console)\//.test(path)), []);
});

Deno.test("no room of the local stack imports another", async () => {
  for (const room of ["clerk", "postgres", "api", "functions"]) {
    const isOtherRoom = (path: string): boolean =>
      /^local\/\w+\//.test(path) && !path.startsWith(`local/${room}/`);
    assertEquals(await offences(`local/${room}`, isOtherRoom), []);
  }
});

Deno.test("commands import no test", async () => {
  assertEquals(await offences("cli", (path) => path.startsWith("tests/")), []);
});

Deno.test("only a function's index.ts reads the environment, and only log.ts writes", async () => {
  const sources = await sourcesBelow("functions");

  const readers = sources.filter(({ text }) => /\bDeno\.env\b|\bprocess\.env\b/.test(text));
  const writers = sources.filter(({ text }) => /\bconsole\.|\bDeno\.std(out|err)\b/.test(text));

  assertEquals(readers.map(({ path }) => path).sort(), [
    "functions/clerk-webhook/index.ts",
    "functions/clerk-worker/index.ts",
  ]);
  assertEquals(writers.map(({ path }) => path), ["functions/_shared/clerk_sync/log.ts"]);
});
