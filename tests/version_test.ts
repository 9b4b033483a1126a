import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { readSource } from "../adopt/source.ts";
import denoJson from "../deno.json" with { type: "json" };
import { VERSION } from "../functions/clerk-worker/version.ts";

// The version is deno.json's. The deployed code and the schema cannot read it there.

Deno.test("deno.json, the deployed code and the schema have the same version", async () => {
  const source = await readSource("");

  assertMatch(denoJson.version, /^\d+\.\d+\.\d+$/);
  assertEquals({ code: VERSION, schema: source.version }, {
    code: denoJson.version,
    schema: denoJson.version,
  });
});

Deno.test("the changelog has an entry for the version", async () => {
  const changelog = await Deno.readTextFile(
    fileURLToPath(new URL("../CHANGELOG.md", import.meta.url)),
  );

  assertMatch(
    changelog,
    new RegExp(`^## ${RegExp.escape(denoJson.version)} - \\d{4}-\\d\\d-\\d\\d$`, "m"),
  );
});
