import { assertEquals, assertGreater } from "@std/assert";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { isOurs } from "../../local/postgres/is_ours.ts";

// supabase/migrations.sha256 has the hash of every released migration, for `sha256sum -c` as well.

const SUPABASE = fileURLToPath(new URL("../../supabase/", import.meta.url));

/** Hashes by file. */
async function released(): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(`${SUPABASE}migrations.sha256`);
  return Object.fromEntries(
    text.trimEnd().split("\n").map((line) => line.split("  ").reverse() as [string, string]),
  );
}

Deno.test("a released migration is never edited, renamed or removed", async () => {
  const expected = await released();

  const found: Record<string, string> = {};
  for (const file of Object.keys(expected)) {
    const bytes = await Deno.readFile(`${SUPABASE}${file}`).catch(() => undefined);
    if (bytes !== undefined) found[file] = createHash("sha256").update(bytes).digest("hex");
  }

  assertEquals(found, expected);
  assertGreater(Object.keys(expected).length, 20);
});

Deno.test("a migration that is not released yet is newer than all that are", async () => {
  const expected = Object.keys(await released()).sort();
  const ours = (await Array.fromAsync(Deno.readDir(`${SUPABASE}migrations`)))
    .map(({ name }) => name).filter(isOurs).map((name) => `migrations/${name}`);

  const tooOld = ours.filter((file) => !expected.includes(file) && file < (expected.at(-1) ?? ""));

  assertEquals(tooOld, []);
});
