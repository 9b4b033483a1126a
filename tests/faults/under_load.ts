import type { Message } from "../../local/clerk/deliver.ts";
import { until } from "../until.ts";
import type { FaultStack } from "./fault_stack.ts";
import { type Attempt, isAcknowledged, sendAll } from "../../local/clerk/send_all.ts";

/** The waits between attempts, ms. Svix waits 5 s, 5 min, 30 min, … */
const SCHEDULE = [50, 300, 1_000, 2_000, 5_000, 10_000, 10_000, 10_000];
const SENDERS = 16;
const PATIENCE_MS = 60_000;

/** Waits until the load reaches a point. Fails when the load ends before that. */
export interface Load {
  /** Until this many deliveries in all have been answered with 2xx. */
  acknowledged(deliveries: number): Promise<void>;
  /** Until this many attempts from now on have not been answered with 2xx. */
  refused(attempts: number): Promise<void>;
  /** Until there is an attempt of this kind. */
  sees(kind: string, isOne: (attempt: Attempt) => boolean): Promise<void>;
}

/** Delivers all messages until each is acknowledged, while something happens. */
export async function underLoad(
  stack: FaultStack,
  messages: readonly Message[],
  happens: (load: Load) => Promise<void>,
): Promise<Attempt[]> {
  const counts = { acknowledged: 0, refused: 0 };
  const seen: Attempt[] = [];
  let isOver = false;
  const sent = sendAll(messages, {
    senders: SENDERS,
    schedule: SCHEDULE,
    send: stack.deliver,
    onAttempt: (attempt) => {
      seen.push(attempt);
      counts[isAcknowledged(attempt) ? "acknowledged" : "refused"]++;
    },
  }).finally(() => isOver = true);
  const reaches = (what: string, isThere: () => boolean): Promise<void> =>
    until(what, () => {
      if (isThere()) return true;
      if (isOver) throw new Error(`The load ended before ${what}`);
      return false;
    }, PATIENCE_MS);
  const comesTo = (what: keyof typeof counts, count: number): Promise<void> =>
    reaches(`${count} attempts are ${what}`, () => counts[what] >= count);

  const [attempts] = await Promise.all([
    sent,
    happens({
      acknowledged: (deliveries) => comesTo("acknowledged", deliveries),
      refused: (more) => comesTo("refused", counts.refused + more),
      sees: (kind, isOne) => reaches(`an attempt is ${kind}`, () => seen.some(isOne)),
    }),
  ]);
  return attempts;
}
