import { type Case, play } from "./case.ts";
import { stackTest } from "../test_stack.ts";

// Reports from practice, played against the whole stack: one file each beside this one.

const FOLDER = new URL(".", import.meta.url);

for (const { name } of [...Deno.readDirSync(FOLDER)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (!name.endsWith(".json")) continue;
  const text = await Deno.readTextFile(new URL(name, FOLDER));
  const { name: sentence } = JSON.parse(text) as Case;

  stackTest(`case ${name}: ${sentence}`, (stack) => play(text, stack));
}
