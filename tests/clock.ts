/** Runs something while `Date.now()` says `at` (ms since the epoch); synchronous code only. */
export function withClockAt<Result>(at: number, run: () => Result): Result {
  const real = Date.now;
  Date.now = () => at;
  try {
    return run();
  } finally {
    Date.now = real;
  }
}
