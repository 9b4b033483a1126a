import { anId } from "../../local/clerk/events.ts";
import { type Message, signedHeadersFor } from "../../local/clerk/deliver.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { quantile } from "../statistics.ts";
import type { ApiName, Contender, CpuTime } from "./contender.ts";

/** Number of deliveries in flight at a time. */
export const SENDERS = 8;

export function aMessage(event: Json): Message {
  return { id: anId("msg"), body: JSON.stringify(event) };
}

/** The HTTP status of one attempt; 0 when there was no answer. */
export async function attempt(
  url: string,
  headers: Record<string, string>,
  body: string,
): Promise<number> {
  try {
    const response = await fetch(url, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}

/** What some deliveries took. */
export interface Load {
  /** The duration of each delivery, ms. */
  readonly milliseconds: readonly number[];
  readonly seconds: number;
  /** Requests to the API. */
  readonly requests: number;
  readonly cpu: CpuTime;
}

/**
 * Sends messages as fast as they are answered.
 *
 * @throws {Error} when one is not answered with 200, because failures would distort the pace
 */
export async function send(
  contender: Contender,
  messages: readonly Message[],
  api: ApiName,
): Promise<Load> {
  contender.use(api);
  const url = contender.url();
  const signed = messages.map((message) => ({
    body: message.body,
    headers: signedHeadersFor(message, contender.signingSecret),
  }));
  const milliseconds: number[] = [];
  const requestsBefore = contender.requests();
  const cpuBefore = await contender.cpuTime();
  const started = performance.now();

  const rest = signed.values();
  await Promise.all(Array.from({ length: SENDERS }, async () => {
    for (const { headers, body } of rest) {
      const sent = performance.now();
      const status = await attempt(url, headers, body);
      if (status !== 200) {
        throw new Error(`Cannot measure ${contender.approach.name} as it answered ${status}`);
      }
      milliseconds.push(performance.now() - sent);
    }
  }));

  const seconds = (performance.now() - started) / 1000;
  const cpuAfter = await contender.cpuTime();
  return {
    milliseconds,
    seconds,
    requests: contender.requests() - requestsBefore,
    cpu: {
      postgres: cpuAfter.postgres - cpuBefore.postgres,
      function: cpuAfter.function - cpuBefore.function,
      rest: cpuAfter.rest - cpuBefore.rest,
    },
  };
}

export interface Pace {
  readonly perSecond: number;
  /** Deliveries per second of CPU time of everything; NaN if the system does not report it. */
  readonly perCpuSecond: number;
  /** ms */
  readonly p50: number;
  readonly p95: number;
  /** Requests to the API for each delivery. */
  readonly requests: number;
  /** CPU time for each delivery, ms; NaN if the system does not report it. */
  readonly postgres: number;
  readonly function: number;
  readonly rest: number;
}

/** The figures of several loads together. */
export function paceOf(loads: readonly Load[]): Pace {
  const milliseconds = loads.flatMap((load) => load.milliseconds);
  const count = milliseconds.length;
  const sum = (of: (load: Load) => number): number =>
    loads.reduce((total, load) => total + of(load), 0);
  const cpu = (of: keyof CpuTime): number => sum((load) => load.cpu[of]) * 1000 / count;

  const each = { postgres: cpu("postgres"), function: cpu("function"), rest: cpu("rest") };
  return {
    perSecond: count / sum(({ seconds }) => seconds),
    perCpuSecond: 1000 / (each.postgres + each.function + each.rest),
    p50: quantile(milliseconds, 0.5),
    p95: quantile(milliseconds, 0.95),
    requests: sum(({ requests }) => requests) / count,
    ...each,
  };
}
