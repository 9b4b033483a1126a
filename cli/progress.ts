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

/** How often a line is written where there is no terminal, ms. */
const LINE_EVERY = 10_000;

/**
 * The progress of a job whose total may be unknown, on standard error: a bar with rate and time left on a
 * terminal, and a line every 10 s elsewhere.
 */
export class RateProgress {
  readonly #isTerminal = Deno.stderr.isTerminal();
  #what = "";
  #began = performance.now();
  /** Done before this process began. */
  #before = 0;
  #shownAt = performance.now();

  /**
   * @param what empty before anything is known
   * @param note what is going on besides, such as a wait
   */
  update(what: string, done: number, total: number | null, note = ""): void {
    const now = performance.now();
    if (what !== this.#what) {
      this.#what = what;
      this.#began = now;
      this.#before = done;
    }
    if (now - this.#shownAt < (this.#isTerminal ? 50 : LINE_EVERY)) return;
    this.#shownAt = now;

    const rate = (done - this.#before) / (now - this.#began) * 1000;
    const left = total === null || rate === 0 ? NaN : Math.max(0, total - done) / rate;
    const text = [
      ...(this.#isTerminal && total ? [bar(Math.min(1, done / total))] : []),
      ...(what === "" ? [] : [`${what} ${done}${total === null ? "" : `/${total}`}`]),
      ...(rate > 0 ? [`${Math.round(rate)}/s`] : []),
      ...(left >= 0 ? [`${Math.ceil(left)} s left`] : []),
      ...(note === "" ? [] : [note]),
    ].join("  ");
    if (this.#isTerminal) this.#write(`\r\x1b[2K${text}`);
    else this.#write(`${text}\n`);
  }

  /** Makes room for a line of its own. */
  clear(): void {
    if (this.#isTerminal) this.#write("\r\x1b[2K");
  }

  #write(text: string): void {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  }
}

/** A bar of a fixed width, of which a share (0 to 1) is filled. */
export function bar(share: number, width = WIDTH): string {
  const filled = Math.round(share * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}
