import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { parseExactly } from "../../operations/exact_json.ts";
import { useGeneration } from "./live.ts";
import { tokenInUrl } from "./route.ts";

/** The server refused, or did not answer. The message is a sentence. */
export class ServerError extends Error {
  override name = "ServerError";

  constructor(message: string, readonly status: number) {
    super(message);
  }
}

/**
 * Asks the console's server.
 *
 * @throws {ServerError}
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, {
    ...init,
    headers: {
      authorization: `Bearer ${tokenInUrl() ?? ""}`,
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
    },
  }).catch((error) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError("The console's server does not answer. Is its command still running?", 0);
  });
  if (response.ok) return response;
  throw new ServerError(await sentenceIn(response), response.status);
}

/** What went wrong, in a sentence. */
export function sentenceOf(error: unknown): string {
  return error instanceof ServerError ? error.message : `Something unexpected happened: ${error}`;
}

async function sentenceIn(response: Response): Promise<string> {
  try {
    return String((await response.json()).error);
  } catch {
    return `The console's server answered with status ${response.status}.`;
  }
}

/** The answer to a GET. Large numbers in it stay exact. */
export async function get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
  const response = await request(path, signal === undefined ? {} : { signal });
  return parseExactly(await response.text()) as Answer;
}

export async function post<Answer>(path: string, body: unknown): Promise<Answer> {
  const response = await request(path, { method: "POST", body: JSON.stringify(body) });
  return await response.json();
}

/**
 * The lines of an NDJSON stream, in the batches in which they arrive.
 *
 * @throws {ServerError} also when a line says that it failed
 */
export async function* linesOf<Line>(response: Response): AsyncGenerator<Line[]> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + decoder.decode(value, { stream: !done })).split("\n");
      rest = done ? "" : lines.pop() ?? "";
      const batch = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
      const failed = batch.find((line) => "error" in line && !("kind" in line));
      if (failed !== undefined) throw new ServerError(failed.error, 500);
      if (batch.length > 0) yield batch;
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Something that is loaded from the server, and loaded again when asked or when the server is back. */
export interface Loaded<Value> {
  readonly value: Value | undefined;
  readonly error: string | undefined;
  readonly isLoading: boolean;
  reload(): void;
}

/** @param path null loads nothing */
export function useLoaded<Value>(path: string | null, everyMilliseconds?: number): Loaded<Value> {
  const generation = useGeneration();
  const [state, setState] = useState<
    { path: string | null; value?: Value; error?: string; isLoading: boolean }
  >({ path: null, isLoading: path !== null });
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((last) => last + 1), []);
  const shown = useRef<string | null>(null);

  useEffect(() => {
    if (path === null) return;
    const aborting = new AbortController();
    // Another thing: what is on the screen is not it. The same thing again: it stays until the new one is here.
    if (shown.current !== path) setState({ path, isLoading: true });
    shown.current = path;
    get<Value>(path, aborting.signal).then(
      (value) => setState({ path, value, isLoading: false }),
      (error) => {
        if (aborting.signal.aborted) return;
        setState({ path, error: sentenceOf(error), isLoading: false });
      },
    );
    return () => aborting.abort();
  }, [path, round, generation]);

  useEffect(() => {
    if (everyMilliseconds === undefined || path === null) return;
    const timer = setInterval(() => document.hidden || reload(), everyMilliseconds);
    return () => clearInterval(timer);
  }, [path, everyMilliseconds]);

  const isCurrent = state.path === path;
  return {
    value: isCurrent ? state.value : undefined,
    error: isCurrent ? state.error : undefined,
    isLoading: path !== null && (!isCurrent || state.isLoading),
    reload,
  };
}

/** An action of the server that tells what it does meanwhile. */
export interface Action<Item, End> {
  readonly isRunning: boolean;
  readonly items: readonly Item[];
  /** The last line; null before it, or if it failed. */
  readonly end: End | null;
  readonly error: string | null;
}

const NO_ACTION = { isRunning: false, items: [], end: null, error: null };

/** Starts actions, one at a time, and stops what runs when the component goes. */
export function useAction<Item extends object, End extends { readonly done: true }>():
  & Action<
    Item,
    End
  >
  & { start(path: string, body: unknown): Promise<void>; stop(): void } {
  const [action, setAction] = useState<Action<Item, End>>(NO_ACTION);
  const stopping = useRef(new AbortController());
  useEffect(() => () => stopping.current.abort(), []);

  const isEnd = (line: Item | End): line is End => "done" in line && line.done === true;
  const start = async (path: string, body: unknown): Promise<void> => {
    stopping.current = new AbortController();
    const { signal } = stopping.current;
    setAction({ ...NO_ACTION, isRunning: true });
    let error: string | null = null;
    try {
      const response = await request(path, { method: "POST", body: JSON.stringify(body), signal });
      for await (const lines of linesOf<Item | End>(response)) {
        setAction((last) => ({
          ...last,
          items: [...last.items, ...lines.filter((line): line is Item => !isEnd(line))],
          end: lines.find(isEnd) ?? last.end,
        }));
      }
    } catch (failure) {
      error = signal.aborted ? "It was stopped." : sentenceOf(failure);
    }
    setAction((last) => ({ ...last, isRunning: false, error }));
  };
  return { ...action, start, stop: () => stopping.current.abort() };
}
