/** Colours a text by an HTTP status: green for 2xx, yellow for 4xx, red for 5xx and no answer. */
export type Paint = (text: string, status: number) => string;

/** For everything that is no terminal. */
export const plain: Paint = (text) => text;

const COLOURS = { green: 32, yellow: 33, red: 31 };

/** Colours on a terminal, unless NO_COLOR is set. */
export function paintFor(stream: { isTerminal(): boolean }): Paint {
  if (!stream.isTerminal() || Deno.noColor) return plain;
  return (text, status) => `\x1b[${COLOURS[colourOf(status)]}m${text}\x1b[0m`;
}

function colourOf(status: number): keyof typeof COLOURS {
  if (status >= 200 && status < 300) return "green";
  return status >= 400 && status < 500 ? "yellow" : "red";
}
