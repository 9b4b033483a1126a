import { assertEquals, assertRejects } from "@std/assert";
import { carryOut, removes, UNFINISHED, writes } from "../../adopt/plan.ts";
import { StartError } from "../../local/start_error.ts";
import { writeFiles } from "../deploy/checkout_copy.ts";
import { filesBelow } from "./projects.ts";

async function aFolder(
  files: Readonly<Record<string, string>>,
): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "clerk-sync-plan-" });
  await writeFiles(path, files);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

Deno.test("carryOut() + replaces a file as a whole, never its contents", async () => {
  await using folder = await aFolder({ "supabase/a.ts": "old" });
  // The other name of the file goes on showing what was in it.
  await Deno.link(`${folder.path}/supabase/a.ts`, `${folder.path}/other.ts`);

  await carryOut(folder.path, [writes("supabase/a.ts", "new")]);

  assertEquals(await filesBelow(folder.path), { "other.ts": "old", "supabase/a.ts": "new" });
});

Deno.test("carryOut() + removes files and the folders that they leave empty, and no others", async () => {
  await using folder = await aFolder({
    "supabase/functions/ours/a/b.ts": "",
    "supabase/functions/ours/c.ts": "",
    "supabase/functions/mixed/ours.ts": "",
    "supabase/functions/mixed/theirs.ts": "",
  });

  await carryOut(folder.path, [
    removes("supabase/functions/ours/a/b.ts"),
    removes("supabase/functions/ours/c.ts"),
    removes("supabase/functions/mixed/ours.ts"),
    removes("supabase/functions/gone.ts"),
  ]);

  const folders: string[] = [];
  for await (const { name } of Deno.readDir(`${folder.path}/supabase/functions`)) {
    folders.push(name);
  }
  assertEquals(folders, ["mixed"]);
  assertEquals(await filesBelow(folder.path), { "supabase/functions/mixed/theirs.ts": "" });
});

Deno.test("carryOut() + leaves nothing of a write that was killed", async () => {
  await using folder = await aFolder({ [UNFINISHED]: "half", "supabase/a.ts": "" });

  await carryOut(folder.path, [removes("supabase/a.ts")]);

  assertEquals(await filesBelow(folder.path), {});
});

Deno.test("carryOut() + changes nothing if a symbolic link is in the way of a step", async () => {
  await using elsewhere = await aFolder({ "a.ts": "theirs" });
  for (
    const [link, target, path] of [
      ["supabase/config.toml", `${elsewhere.path}/a.ts`, "supabase/config.toml"],
      ["supabase/functions", elsewhere.path, "supabase/functions/a.ts"],
      ["supabase/functions/gone", `${elsewhere.path}/nowhere`, "supabase/functions/gone/a.ts"],
    ] as const
  ) {
    await using folder = await aFolder({ "supabase/other.ts": "old" });
    await Deno.mkdir(`${folder.path}/supabase/functions`);
    if (link === "supabase/functions") await Deno.remove(`${folder.path}/${link}`);
    await Deno.symlink(target, `${folder.path}/${link}`);

    for (const step of [writes(path, "new"), removes(path)]) {
      const { message } = await assertRejects(
        () => carryOut(folder.path, [writes("supabase/other.ts", "new"), step]),
        StartError,
      );

      assertEquals(message.split(":")[0], `Cannot change ${link} as it is a symbolic link`);
      assertEquals(await Deno.readTextFile(`${folder.path}/supabase/other.ts`), "old");
      assertEquals(await filesBelow(elsewhere.path), { "a.ts": "theirs" });
    }
  }
});
