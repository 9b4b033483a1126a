import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";

// Imports point one way: cli uses adopt and console, cli and console use operations, all use local, and all
// use what functions share. Functions use nothing of theirs, so that adopting them is a copy.

const ROOT = fileURLToPath(new URL("../", import.meta.url));

interface Source {
  readonly path: string;
  readonly text: string;
}

async function sourcesBelow(folder: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const entry of Deno.readDir(`${ROOT}${folder}`)) {
    const path = `${folder.replace(/\/$/, "")}/${entry.name}`;
    if (entry.isDirectory) found.push(...await sourcesBelow(path));
    else if (/\.tsx?$/.test(path)) {
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

/** The sources that a file imports, directly or through others, and itself. */
function reachableFrom(path: string, sources: readonly Source[]): Set<string> {
  const reached = new Set([path]);
  // A set can grow while it is walked.
  for (const each of reached) {
    const source = sources.find((one) => one.path === each);
    if (source !== undefined) importsOf(source).forEach((imported) => reached.add(imported));
  }
  return reached;
}

const FUNCTIONS = ["clerk-webhook", "clerk-worker"];

/** Where the code of a function is entered. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  "clerk-webhook": ["index.ts"],
  "clerk-worker": ["index.ts"],
};
const SHARED = "functions/_shared/clerk_sync/";

/** Our functions; a clone may have more. */
async function functionSources(): Promise<Source[]> {
  const folders = [...FUNCTIONS, "_shared/clerk_sync"].map((name) => `functions/${name}`);
  return (await Promise.all(folders.map(sourcesBelow))).flat();
}

/** The shared files that not every function uses. */
function unshared(sources: readonly Source[]): string[] {
  const used = Object.entries(ENTRIES).map(([name, files]) =>
    new Set(files.flatMap((file) => [...reachableFrom(`functions/${name}/${file}`, sources)]))
  );
  return sources.map(({ path }) => path)
    .filter((path) => path.startsWith(SHARED) && !used.every((paths) => paths.has(path)));
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

for (const name of FUNCTIONS) {
  Deno.test(`${name} imports nothing but itself and what functions share`, async () => {
    const own = `functions/${name}/`;

    assertEquals(
      await offences(own, (path) => !path.startsWith(own) && !path.startsWith(SHARED)),
      [],
    );
  });
}

Deno.test("what functions share imports nothing else of ours", async () => {
  assertEquals(await offences(SHARED, (path) => !path.startsWith(SHARED)), []);
});

Deno.test("functions/_shared/clerk_sync holds only what both functions use", async () => {
  const sources = await functionSources();

  assertEquals(unshared(sources), []);
});

Deno.test("a shared file that one function uses alone, or none, is found", async () => {
  const sources = await functionSources();
  const planted = [
    { path: `${SHARED}of_one.ts`, text: "" },
    { path: `${SHARED}of_none.ts`, text: 'import "./of_one.ts";' },
    { path: `${SHARED}of_both.ts`, text: "" },
  ];
  const using = sources.map(({ path, text }) =>
    path === "functions/clerk-worker/http.ts"
      ? { path, text: `import "../_shared/clerk_sync/of_one.ts";\n${text}` }
      : path === `${SHARED}log.ts`
      ? { path, text: `import "./of_both.ts";\n${text}` }
      : { path, text }
  );

  assertEquals(unshared([...using, ...planted]), [`${SHARED}of_one.ts`, `${SHARED}of_none.ts`]);
});

Deno.test("the local stack imports no command, no tool, no test and nothing that writes into projects", async () => {
  const isForbidden = (path: string): boolean =>
    /^(adopt|cli|console|operations|tools|tests)\//.test(path);
  assertEquals(await offences("local", isForbidden), []);
});

Deno.test("what operators do imports nothing of those who ask for it", async () => {
  const isForbidden = (path: string): boolean => /^(adopt|cli|console|tools|tests)\//.test(path);
  assertEquals(await offences("operations", isForbidden), []);
});

Deno.test("the console imports no command, no tool, no test and nothing that writes into projects", async () => {
  assertEquals(await offences("console", (path) => /^(adopt|cli|tools|tests)\//.test(path)), []);
});

Deno.test("the console's page imports only types of its server, and what operators do exactly", async () => {
  const isForbidden = (path: string): boolean =>
    !["console/page/", "console/api.ts", "operations/exact_json.ts"].some((own) =>
      path.startsWith(own)
    );
  assertEquals(await offences("console/page", isForbidden), []);
});

Deno.test("what writes into projects imports no command, no tool and no test", async () => {
  const isForbidden = (path: string): boolean =>
    /^(cli|console|operations|tools|tests)\//.test(path);
  assertEquals(await offences("adopt", isForbidden), []);
});

Deno.test("no room of the local stack imports another", async () => {
  for (const room of ["clerk", "postgres", "api", "functions"]) {
    const isOtherRoom = (path: string): boolean =>
      /^local\/\w+\//.test(path) && !path.startsWith(`local/${room}/`);
    assertEquals(await offences(`local/${room}`, isOtherRoom), []);
  }
});

Deno.test("commands import no tool, which the package leaves out, and no test", async () => {
  assertEquals(await offences("cli", (path) => /^(tools|tests)\//.test(path)), []);
});

Deno.test("only a function's index.ts reads the environment, and only log.ts writes", async () => {
  const sources = await functionSources();

  const readers = sources.filter(({ text }) => /\bDeno\.env\b|\bprocess\.env\b/.test(text));
  const writers = sources.filter(({ text }) => /\bconsole\.|\bDeno\.std(out|err)\b/.test(text));

  assertEquals(readers.map(({ path }) => path).sort(), [
    "functions/clerk-webhook/index.ts",
    "functions/clerk-worker/index.ts",
  ]);
  assertEquals(writers.map(({ path }) => path), ["functions/_shared/clerk_sync/log.ts"]);
});
