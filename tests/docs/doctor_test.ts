import { assertEquals, assertGreater } from "@std/assert";
import { CHECKS } from "../../cli/doctor.ts";
import { ROOT } from "./pages.ts";

const page = await Deno.readTextFile(`${ROOT}docs/doctor.md`);

/** The rows of the table below a heading, as cells. */
function rowsBelow(heading: string): string[][] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return section.split("\n").filter((line) => line.startsWith("|")).slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("docs/doctor.md lists every check, in the order in which doctor prints them", () => {
  const codes = rowsBelow("Checks").filter(([cell]) => cell?.startsWith("`"))
    .map(([cell = ""]) => cell.replaceAll("`", ""));

  assertEquals(codes, Object.keys(CHECKS));
});

Deno.test("docs/doctor.md names a check that exists for each common problem", () => {
  const symptoms = rowsBelow("Common problems of Clerk webhooks");

  assertGreater(symptoms.length, 10);
  for (const [symptom = "", checks = ""] of symptoms) {
    const named = [...checks.matchAll(/`(\w+)`/g)].map(([, code = ""]) => code);
    assertEquals(named.filter((code) => code in CHECKS).length > 0, true, symptom);
  }
});
