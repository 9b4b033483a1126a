import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { differences, withSections } from "../../adopt/config.ts";
import { parseToml } from "../../adopt/project.ts";
import { StartError } from "../../local/start_error.ts";

const SECTION = '[functions.a]\n# Why.\nverify_jwt = false\nentrypoint = "./a.ts"\n';
const SECTIONS = { "functions.a": SECTION };

Deno.test("withSections() + appends a section, and leaves every other character as it is", () => {
  const config = '# Theirs.\nproject_id="x"   # so\n\n[api]\nschemas = [ "public",\n]';

  assertEquals(withSections(config, SECTIONS), `${config}\n\n${SECTION}`);
});

Deno.test("withSections() + keeps the line ends of Windows", () => {
  assertEquals(
    withSections("[api]\r\nport = 1\r\n", SECTIONS),
    `[api]\nport = 1\n\n${SECTION}`.replaceAll("\n", "\r\n"),
  );
});

Deno.test("withSections() + changes values in place, with comments and what else is there", () => {
  const config = [
    "[functions.a] # mine",
    "enabled = true",
    "verify_jwt = true # for now",
    'entrypoint = "./a.ts"',
    "",
    "[functions.b]",
    "verify_jwt = true",
    "",
  ].join("\n");

  assertEquals(
    withSections(config, SECTIONS),
    config.replace("verify_jwt = true # for now", "verify_jwt = false # for now"),
  );
});

Deno.test("withSections() + leaves a config.toml alone that says it already", () => {
  const config = `[api]\nport = 1\n\n${SECTION}\n\n[auth]\n`;

  assertEquals(withSections(config, SECTIONS), config);
});

Deno.test("withSections() + refuses a config.toml that it cannot add to, and shows what to add", () => {
  const error = assertThrows(
    () => withSections("functions = { b = { verify_jwt = true } }\n", SECTIONS),
    StartError,
  );

  assertStringIncludes(error.message, SECTION);
});

Deno.test("differences() + names the values that a section has otherwise", () => {
  const section = (text: string): string[] => differences(parseToml(text), "functions.a", SECTION);

  assertEquals(section("[functions.a]\nverify_jwt = true\n"), ["verify_jwt", "entrypoint"]);
  assertEquals(section(SECTION), []);
  assertEquals(section("[api]\n"), []);
});
