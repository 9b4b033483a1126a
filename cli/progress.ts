const WIDTH = 24;

/** A progress bar on standard error, shown on terminals only. */
export class Progress {
  #done = 0;
  #shownAt = 0;
  readonly #what: string;
  readonly #total: number;
  readonly #visible: boolean;

  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
    this.#visible = Deno.stderr.isTerminal();
  }

  step(): void {
    this.#done++;
    const now = performance.now();
    if (now - this.#shownAt > 50 || this.#done === this.#total) {
      this.#shownAt = now;
      this.#show(`${bar(this.#done / this.#total)} ${this.#done}/${this.#total} ${this.#what}`);
    }
  }

  /** Removes the bar. */
  end(): void {
    this.#show("");
  }

  #show(text: string): void {
    if (this.#visible) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[2K${text}`));
  }
}

/** A bar of a fixed width, of which a share (0 to 1) is filled. */
export function bar(share: number, width = WIDTH): string {
  const filled = Math.round(share * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}
