import { assertEquals } from "@std/assert";
import { fold, foldLines } from "../../cli/fold.ts";

Deno.test("fold() breaks a line at blanks, and indents all lines but the first", () => {
  assertEquals(fold("name  one two three four", 6, 13), [
    "name  one two",
    "      three",
    "      four",
  ]);
  assertEquals(fold("one two", 2, 7), ["one two"]);
});

Deno.test("fold() breaks a word that is longer than a line", () => {
  assertEquals(fold("a 1234567890", 2, 6), ["a", "  1234", "  5678", "  90"]);
});

Deno.test("fold() keeps a line whole without a width", () => {
  assertEquals(fold("one two ".repeat(99), 2, Infinity), ["one two ".repeat(99)]);
});

Deno.test("fold() indents by at most half of a narrow terminal", () => {
  assertEquals(fold("one two three", 44, 6), ["one", "   two", "   thr", "   ee"]);
});

Deno.test("fold() keeps a command in backquotes on one line if it fits, so that it can be copied", () => {
  assertEquals(fold("Now run `do it --all`, then see", 2, 18), [
    "Now run",
    "  `do it --all`,",
    "  then see",
  ]);
  assertEquals(fold("Run `do it now --all`", 2, 12), ["Run `do it", "  now --all`"]);
});

Deno.test("foldLines() folds each line, below the words of its first part", () => {
  assertEquals(
    foldLines("This command\n  sets one and two\n\n  URL   one two three", 16),
    [
      "This command",
      "  sets one and",
      "  two",
      "",
      "  URL   one two",
      "        three",
    ].join("\n"),
  );
});
