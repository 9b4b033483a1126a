/** Holds lines back until they are released; later lines are passed on at once. */
export class HeldLines {
  readonly #sayNow: (text: string) => void;
  #held: string[] | undefined = [];

  constructor(sayNow: (text: string) => void) {
    this.#sayNow = sayNow;
  }

  say(text: string): void {
    if (this.#held === undefined) this.#sayNow(text);
    else this.#held.push(text);
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const text of held) this.#sayNow(text);
  }
}
