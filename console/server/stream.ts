import { setTimeout } from "node:timers/promises";
import type { Message, StreamLine } from "../api.ts";
import type { Routes } from "./answer.ts";
import type { Deps } from "./deps.ts";
import { lines } from "./lines.ts";
import { countSince, newest } from "./messages.ts";
import { refusalsOf } from "./operate.ts";

/** How often the newest messages are looked at, ms. */
const INTERVAL = 1_000;
/** How often the status is told, and how long nothing is told at most, ms. */
const STATUS_EVERY = 5_000;
/** Messages of a line. */
const MOST = 200;
/** Refusals of a line. */
const MOST_REFUSALS = 100;
/** What is new, as long as somebody reads it. */
export function streamRoutes(deps: Deps): Routes {
  return {
    "GET /api/stream": () =>
      Promise.resolve(lines(async (write, stop) => {
        const tell = (line: StreamLine): Promise<void> => write(line);
        await follow(deps, tell, stop);
      }, deps)),
  };
}

async function follow(
  deps: Deps,
  tell: (line: StreamLine) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const { status, project } = deps;
  const watch = new Watch(deps);
  let toldStatus = 0;
  let toldRefusals = -1;
  let told = 0;
  let trouble = "";

  while (!stop.aborted) {
    const some: StreamLine[] = [];
    try {
      const news = await watch.look();
      if (news !== undefined) some.push({ kind: "messages", ...news });
      if (Date.now() - toldStatus >= STATUS_EVERY) {
        some.push({ kind: "status", ...await status.read() });
        toldStatus = Date.now();
      }
      trouble = "";
    } catch (error) {
      const failure = deps.failure(error);
      if (failure.error !== trouble) some.push({ kind: "trouble", ...failure });
      trouble = failure.error;
    }
    if (project.refusals !== undefined && project.refusals.number !== toldRefusals) {
      toldRefusals = project.refusals.number;
      some.push({ kind: "refusals", ...refusalsOf(deps, MOST_REFUSALS) });
    }
    if (some.length === 0 && Date.now() - told >= STATUS_EVERY) some.push({ kind: "beat" });

    for (const line of some) {
      await tell(line);
      told = Date.now();
    }
    await setTimeout(INTERVAL, undefined, { signal: stop }).catch(() => {});
  }
}

interface News {
  readonly messages: readonly Message[];
  readonly skipped: number;
}

/** Remembers which of the newest messages were told, and how they were. */
class Watch {
  readonly #deps: Deps;
  #known: ReadonlyMap<string, string> | undefined;
  #newest: string | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** What is new or has changed since the last look; undefined if nothing has. The first look has them all. */
  async look(): Promise<News | undefined> {
    const known = this.#known;
    const messages = await newest(this.#deps, MOST);
    const news = messages.filter((each) => known?.get(each.message_id) !== stateOf(each));
    const isGap = this.#newest !== undefined && messages.length === MOST &&
      messages.every(({ message_id }) => known?.has(message_id) !== true);
    // The one that was the newest is counted, too.
    const skipped = isGap ? await countSince(this.#deps, this.#newest) - 1 - MOST : 0;

    this.#known = new Map(messages.map((each) => [each.message_id, stateOf(each)]));
    this.#newest = messages[0]?.received_at;
    if (news.length === 0 && known !== undefined) return undefined;
    return { messages: news, skipped: Math.max(0, skipped) };
  }
}

function stateOf({ outcome, deliveries, has_payload }: Message): string {
  return `${outcome} ${deliveries} ${has_payload}`;
}
