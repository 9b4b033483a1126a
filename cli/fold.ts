/** The width of the terminal that standard output goes to; Infinity if it goes elsewhere. */
export function terminalWidth(): number {
  return (Deno.stdout.isTerminal() && Deno.consoleSize().columns) || Infinity;
}

/** Stands for a blank at which no line is broken. */
const FIXED = "\0";

/**
 * Breaks a line at blanks, or within a word that is longer than a line. All lines but the first are
 * indented, by at most half the width. A command in backquotes stays on one line if it fits, so that it
 * can be copied.
 */
export function fold(text: string, indent: number, width: number): string[] {
  const margin = Math.min(indent, Math.floor(width / 2));
  const lines: string[] = [];
  let rest = text.replace(
    /`[^`]+`/g,
    (command) => command.length + 1 > width - margin ? command : command.replaceAll(" ", FIXED),
  );
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width);
    const at = rest.slice(0, Math.max(blank, 0)).trim() === "" ? width : blank;
    lines.push(rest.slice(0, at).trimEnd());
    rest = " ".repeat(margin) + rest.slice(at).trimStart();
  }
  return [...lines, rest].map((line) => line.replaceAll(FIXED, " "));
}

/** Folds each line of a text, and indents what continues it like its own words. */
export function foldLines(text: string, width: number): string {
  return text.split("\n").flatMap((line) => {
    const [start = ""] = /^ +(?:\w+ {2,})?/.exec(line) ?? [];
    return fold(line, start.length, width);
  }).join("\n");
}
