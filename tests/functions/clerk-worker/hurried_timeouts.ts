/** Notes which limits are asked for while it is in use, and lets each pass after 50 ms. */
export function hurryTimeouts(): { readonly asked: readonly number[] } & Disposable {
  const { timeout } = AbortSignal;
  const asked: number[] = [];
  AbortSignal.timeout = (milliseconds) => {
    asked.push(milliseconds);
    return timeout.call(AbortSignal, 50);
  };
  return {
    asked,
    [Symbol.dispose]: () => {
      AbortSignal.timeout = timeout;
    },
  };
}
