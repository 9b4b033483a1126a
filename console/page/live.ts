import { useEffect, useState } from "preact/hooks";
import type { Message, Refusals, Status, StreamLine } from "../api.ts";
import { linesOf, request, ServerError } from "./ask.ts";

// One stream feeds the whole page. What arrives is handed on once a frame, however much it is. A hidden tab
// has no stream: a browser allows six connections to a server, whatever the number of its tabs.

/** Whether the stream runs. Refused: the token is of another run. */
export type Connection = "connecting" | "live" | "lost" | "refused";

export interface Live {
  readonly connection: Connection;
  /** Why the server cannot reach the database. */
  readonly trouble: string | null;
  readonly status: Status | null;
  /** When the status arrived, ms since the epoch. */
  readonly statusAt: number;
  readonly refusals: Refusals | null;
  /** Grows whenever the stream starts again: what was loaded before may be old. */
  readonly generation: number;
}

/** Messages that are new or have changed, and how many new ones were left out. */
export type MessagesListener = (messages: readonly Message[], skipped: number) => void;

/** The server sends a line at least every 5 s. */
const SILENCE = 15_000;
const LONGEST_PAUSE = 5_000;

let live: Live = {
  connection: "connecting",
  trouble: null,
  status: null,
  statusAt: 0,
  refusals: null,
  generation: 0,
};
const listeners = new Set<() => void>();
const messageListeners = new Set<MessagesListener>();

let arrived: Message[] = [];
let skipped = 0;
let frame = 0;

function change(part: Partial<Live>): void {
  live = { ...live, ...part };
  listeners.forEach((listener) => listener());
}

/** Reads the stream until the page is closed, and starts it again when it breaks. */
export async function follow(): Promise<void> {
  for (let pause = 500;; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    await shown();
    try {
      await readOnce(() => pause = 500);
    } catch (error) {
      if (error instanceof ServerError && (error.status === 401 || error.status === 403)) {
        return change({ connection: "refused" });
      }
    }
    if (document.hidden) continue;
    change({ connection: "lost" });
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Waits until somebody can see the page. */
async function shown(): Promise<void> {
  while (document.hidden) {
    await new Promise((resolve) =>
      document.addEventListener("visibilitychange", resolve, { once: true })
    );
  }
}

async function readOnce(onStart: () => void): Promise<void> {
  const aborting = new AbortController();
  const hide = (): void => document.hidden ? aborting.abort() : undefined;
  document.addEventListener("visibilitychange", hide);
  let silence = setTimeout(() => aborting.abort(), SILENCE);
  try {
    const response = await request("/api/stream", { signal: aborting.signal });
    onStart();
    change({ connection: "live", generation: live.generation + 1 });
    for await (const batch of linesOf<StreamLine>(response)) {
      clearTimeout(silence);
      silence = setTimeout(() => aborting.abort(), SILENCE);
      batch.forEach(take);
    }
  } finally {
    clearTimeout(silence);
    document.removeEventListener("visibilitychange", hide);
  }
}

function take(line: StreamLine): void {
  switch (line.kind) {
    case "messages":
      arrived.push(...line.messages);
      skipped += line.skipped;
      frame ||= requestAnimationFrame(handOn);
      return;
    case "status":
      return change({ status: line, statusAt: Date.now(), trouble: null });
    case "refusals":
      return change({ refusals: line });
    case "trouble":
      return change({ trouble: line.error });
    case "beat":
      return;
    default:
      return line satisfies never;
  }
}

function handOn(): void {
  const messages = arrived;
  const left = skipped;
  arrived = [];
  skipped = 0;
  frame = 0;
  messageListeners.forEach((listener) => listener(messages, left));
}

function useStore<Part>(part: (live: Live) => Part): Part {
  const [value, setValue] = useState(() => part(live));
  useEffect(() => {
    const update = (): void => setValue(() => part(live));
    update();
    listeners.add(update);
    return () => void listeners.delete(update);
  }, []);
  return value;
}

export function useLive(): Live {
  return useStore((all) => all);
}

export function useGeneration(): number {
  return useStore(({ generation }) => generation);
}

/** Hands on what the stream brings, once a frame. */
export function useMessages(listener: MessagesListener): void {
  useEffect(() => {
    messageListeners.add(listener);
    return () => void messageListeners.delete(listener);
  }, [listener]);
}
