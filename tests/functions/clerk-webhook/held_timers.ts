/** Timers that wait for a word, and not for the clock. */
export interface HeldTimers extends Disposable {
  /** Lets the time of those that were set so far come. */
  pass(): void;
}

/** Holds back every timer of one of these lengths, ms, so that no busy machine makes it come too early. */
export function holdTimers(...lengths: readonly number[]): HeldTimers {
  const { setTimeout, clearTimeout } = globalThis;
  const held = new Map<number, () => void>();
  let last = 0;
  const hold = (act: () => void, milliseconds = 0): unknown => {
    if (!lengths.includes(milliseconds)) return setTimeout(act, milliseconds);
    // Below zero, where no other timer's number is.
    held.set(--last, act);
    return last;
  };
  globalThis.setTimeout = hold as unknown as typeof setTimeout;
  globalThis.clearTimeout = (timer) => {
    if (!held.delete(Number(timer))) clearTimeout(timer);
  };
  return {
    pass: () => {
      for (const [timer, act] of [...held]) {
        held.delete(timer);
        act();
      }
    },
    [Symbol.dispose]: () => {
      globalThis.setTimeout = setTimeout;
      globalThis.clearTimeout = clearTimeout;
    },
  };
}
