// Serves a file of docs/nextjs.md on Node, its POST or its default export's fetch, and prints the port.
// With --web the file has the Web's API alone, and no code is made from text, as in Workers.

import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import vm from "node:vm";

// Of the folder that this file is copied to: not ours, so Deno must not look for it.
const { serve } = await import(import.meta.resolve("@hono/node-server"));

/** The globals of `--web`, besides those of the language. */
const WEB = [
  ..."AbortController AbortSignal Event EventTarget Headers ReadableStream Request Response".split(
    " ",
  ),
  ..."TextDecoder TextEncoder URL URLSearchParams atob btoa clearTimeout console crypto".split(" "),
  ..."fetch performance setTimeout".split(" "),
];

const [file, flag] = process.argv.slice(2);
const url = pathToFileURL(file).href;
const route = flag === "--web" ? await importIntoWeb(url) : await import(url);

serve({
  fetch: (request) => route.POST?.(request) ?? route.default.fetch(request, process.env),
  hostname: "127.0.0.1",
  port: 0,
  overrideGlobalObjects: false,
}, ({ port }) => console.log(`port ${port}`));

async function importIntoWeb(url) {
  const globals = Object.fromEntries(WEB.map((name) => [name, globalThis[name]]));
  const context = vm.createContext(globals, { codeGeneration: { strings: false, wasm: false } });
  const load = async (from) => {
    const code = stripTypeScriptTypes(await readFile(fileURLToPath(from), "utf8"));
    return new vm.SourceTextModule(code, { context, identifier: from });
  };
  const module = await load(url);
  await module.link((specifier) => load(import.meta.resolve(specifier, url)));
  await module.evaluate();
  return module.namespace;
}
