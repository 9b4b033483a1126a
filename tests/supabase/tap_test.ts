import { assertEquals } from "@std/assert";
import { complaintsAbout } from "./tap.ts";

Deno.test("complaintsAbout() is empty when all planned tests ran and passed", () => {
  assertEquals(complaintsAbout(["1..2", "", "ok 1 - a", "# a note", "ok 2 - b"]), []);
  assertEquals(complaintsAbout(["ok 1 - the plan may come last", "1..1"]), []);
  assertEquals(complaintsAbout(["1..1", "ok 1 - a profile\\# skips nothing"]), []);
});

Deno.test("complaintsAbout() names a test that failed, even one marked as todo", () => {
  assertEquals(complaintsAbout(["1..2", "ok 1 - a", "not ok 2 - b"]), ["test 2 failed"]);
  assertEquals(complaintsAbout(["1..1", "not ok 1 - a # TODO later"]), ["test 1 failed"]);
});

Deno.test("complaintsAbout() does not count a skipped test as passed", () => {
  assertEquals(complaintsAbout(["1..1", "ok 1 # SKIP no such extension"]), [
    "test 1 is skipped or still to do",
  ]);
});

Deno.test("complaintsAbout() requires exactly one plan, of at least one test", () => {
  assertEquals(complaintsAbout(["ok 1 - a"]), ["there is no plan"]);
  assertEquals(complaintsAbout([]), ["there is no plan"]);
  assertEquals(complaintsAbout(["1..1", "1..1", "ok 1 - a"]), ["there are 2 plans"]);
  assertEquals(complaintsAbout(["1..0"]), ["nothing is planned"]);
});

Deno.test("complaintsAbout() compares the number of tests with the plan", () => {
  assertEquals(complaintsAbout(["1..2", "ok 1 - a"]), ["2 tests are planned, 1 ran"]);
  assertEquals(complaintsAbout(["1..1", "ok 1 - a", "ok 2 - b"]), ["1 tests are planned, 2 ran"]);
  assertEquals(complaintsAbout(["1..2", "ok 1 - a", "ok 1 - a"]), ["test 1 is out of order"]);
});

Deno.test("complaintsAbout() reports why a stream broke off", () => {
  assertEquals(complaintsAbout(["1..1", "ok 1 - a", "Bail out! 42P01: no such table"]), [
    "Bail out! 42P01: no such table",
  ]);
});
