/** The width of the terminal that standard output goes to; Infinity if it goes elsewhere. */
export function terminalWidth(): number {
  return (Deno.stdout.isTerminal() && Deno.consoleSize().columns) || Infinity;
}

/**
 * Breaks a line at blanks, or within a word that is longer than a line. All lines but the first are
 * indented, by at most half the width.
 */
export function fold(text: string, indent: number, width: number): string[] {
  const margin = Math.min(indent, Math.floor(width / 2));
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width);
    const at = rest.slice(0, Math.max(blank, 0)).trim() === "" ? width : blank;
    lines.push(rest.slice(0, at).trimEnd());
    rest = " ".repeat(margin) + rest.slice(at).trimStart();
  }
  return [...lines, rest];
}
