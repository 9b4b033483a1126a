/**
 * Asks on the terminal, and does not show what is typed or pasted.
 *
 * @returns undefined after Ctrl-C or Ctrl-D
 */
export function askHidden(question: string): string | undefined {
  const show = (text: string): void => {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  };
  // First, because the terminal shows whatever comes before it, and a paste can follow the question at once.
  Deno.stdin.setRaw(true);
  try {
    show(question);
    let answer = "";
    const bytes = new Uint8Array(1024);
    for (;;) {
      const length = Deno.stdin.readSync(bytes);
      for (const key of new TextDecoder().decode(bytes.subarray(0, length ?? 0))) {
        if (key === "\r" || key === "\n") return answer;
        if (key === "\x03" || key === "\x04") return undefined;
        answer = key === "\x7f" || key === "\b" ? answer.slice(0, -1) : answer + key;
      }
      if (length === null) return undefined;
    }
  } finally {
    Deno.stdin.setRaw(false);
    show("\n");
  }
}
