import { type EdgeFunction, type EdgeFunctionOptions, startEdgeFunction } from "./edge_function.ts";

/** How long to wait before a restart, ms; doubled after each failure. */
const DELAY_MS = { first: 200, longest: 5_000 };

/** A function that is restarted when it ends by itself. */
export interface Supervisor {
  /** Settles with the first start. */
  readonly started: Promise<void>;
  /** The process that is running now, if there is one. */
  current(): EdgeFunction | undefined;
  stop(): Promise<void>;
}

/**
 * Starts a function and restarts it whenever it ends, until it is stopped.
 *
 * @param onNotice receives a sentence when the function ended by itself, failed to restart, or is back.
 */
export function superviseFunction(
  options: EdgeFunctionOptions,
  onNotice: (text: string) => void = () => {},
): Supervisor {
  let current: EdgeFunction | undefined;
  let stopping = false;
  let restart: ReturnType<typeof setTimeout> | undefined;

  const start = async (): Promise<void> => {
    const started = await startEdgeFunction(options);
    current = started;
    if (stopping) return await started.stop();
    started.ended.then(() => {
      if (current === started) current = undefined;
      if (stopping) return;
      onNotice(`The function ${options.name} ended by itself; restarting it`);
      startAgain(DELAY_MS.first);
    });
  };
  const startAgain = (delayMs: number): void => {
    restart = setTimeout(() => {
      starting = start().then(
        () => onNotice(`The function ${options.name} is running again`),
        (error) => {
          if (stopping) return;
          onNotice((error as Error).message);
          startAgain(Math.min(delayMs * 2, DELAY_MS.longest));
        },
      );
    }, delayMs);
  };

  const started = start();
  let starting = started;
  return {
    started,
    current: () => current,
    stop: async () => {
      stopping = true;
      clearTimeout(restart);
      await starting.catch(() => {});
      await current?.stop();
    },
  };
}
