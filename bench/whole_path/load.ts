import { anId } from "../../local/clerk/events.ts";
import { type Message, signedHeadersFor } from "../../local/clerk/deliver.ts";
import type { Json } from "../../functions/clerk-webhook/json.ts";
import { quantile } from "../statistics.ts";
import type { Contender } from "./contender.ts";
import type { CpuTime } from "./cpu_time.ts";

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

export interface Pace {
  readonly perSecond: number;
  /** ms */
  readonly p50: number;
  readonly p95: number;
  /** Requests to PostgREST for each delivery. */
  readonly requests: number;
  /** CPU time per delivery, ms; NaN if the system does not report it. */
  readonly cpu: CpuTime;
}

/**
 * Sends messages as fast as they are answered.
 *
 * @throws {Error} when one is not answered with 200, because failures would distort the pace
 */
export async function pace(contender: Contender, messages: readonly Message[]): Promise<Pace> {
  const url = contender.url();
  const signed = messages.map((message) => ({
    body: message.body,
    headers: signedHeadersFor(message, contender.signingSecret),
  }));
  const times: number[] = [];
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
      times.push(performance.now() - sent);
    }
  }));

  const seconds = (performance.now() - started) / 1000;
  const cpuAfter = await contender.cpuTime();
  const cpu = (of: keyof CpuTime): number =>
    ((cpuAfter?.[of] ?? NaN) - (cpuBefore?.[of] ?? NaN)) / messages.length;

  return {
    perSecond: messages.length / seconds,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
    requests: (contender.requests() - requestsBefore) / messages.length,
    cpu: { postgres: cpu("postgres"), function: cpu("function"), rest: cpu("rest") },
  };
}
