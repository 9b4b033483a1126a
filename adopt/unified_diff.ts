/** How many unchanged lines stand around a change. */
const CONTEXT = 3;

interface Line {
  readonly sign: " " | "-" | "+";
  readonly text: string;
}

/** What leads from one text to another, as `diff -u` writes it; empty if nothing does. */
export function unifiedDiff(path: string, before: string, after: string): string {
  const lines = compare(linesOf(before), linesOf(after));
  const hunks = hunksOf(lines);
  if (hunks.length === 0) return "";
  return [`--- ${path}`, `+++ ${path}`, ...hunks].join("\n");
}

function linesOf(text: string): string[] {
  return text.replaceAll("\r\n", "\n").replace(/\n$/, "").split("\n");
}

/** The longest common lines stay; our files are short enough for the whole table. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const common = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] = before[i] === after[j]
        ? at(i + 1, j + 1) + 1
        : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }

  const lines: Line[] = [];
  for (let i = 0, j = 0; i < before.length || j < after.length;) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ sign: " ", text: before[i++] ?? "" });
      j++;
    } else if (j === after.length || i < before.length && at(i + 1, j) >= at(i, j + 1)) {
      lines.push({ sign: "-", text: before[i++] ?? "" });
    } else {
      lines.push({ sign: "+", text: after[j++] ?? "" });
    }
  }
  return lines;
}

function hunksOf(lines: readonly Line[]): string[] {
  const hunks: string[] = [];
  for (let start = 0; start < lines.length;) {
    const first = lines.findIndex(({ sign }, at) => at >= start && sign !== " ");
    if (first < 0) break;
    let last = first;
    for (let at = first; at < lines.length && at - last <= 2 * CONTEXT; at++) {
      if (lines[at]?.sign !== " ") last = at;
    }
    const from = Math.max(start, first - CONTEXT);
    const to = Math.min(lines.length, last + 1 + CONTEXT);
    hunks.push([
      `@@ -${range(lines, from, to, "+")} +${range(lines, from, to, "-")} @@`,
      ...lines.slice(from, to).map(({ sign, text }) => sign + text),
    ].join("\n"));
    start = to;
  }
  return hunks;
}

/** The first line and the number of lines of one side, which lacks the lines of a sign. */
function range(lines: readonly Line[], from: number, to: number, lacks: Line["sign"]): string {
  const count = (some: readonly Line[]): number => some.filter(({ sign }) => sign !== lacks).length;
  const length = count(lines.slice(from, to));
  return `${count(lines.slice(0, from)) + (length === 0 ? 0 : 1)},${length}`;
}
