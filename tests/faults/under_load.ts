import type { Message } from "../../local/clerk/deliver.ts";
import { until } from "../until.ts";
import type { FaultStack } from "./fault_stack.ts";
import { type Attempt, isAcknowledged, sendAll } from "./senders.ts";

/** Svix waits 5 s, 5 min, 30 min, …: the same, ms instead, and with more attempts at the end. */
const SCHEDULE = [50, 300, 1_000, 2_000, 5_000, 10_000, 10_000, 10_000];
const SENDERS = 16;
const PATIENCE_MS = 60_000;

/** Where the load is. Waits end when there is nothing left to send, too: the verdict will tell. */
export interface Load {
  /** Waits until this many deliveries in all have been answered with 2xx. */
  acknowledged(deliveries: number): Promise<void>;
  /** Waits until this many attempts from now on have not been answered with 2xx. */
  refused(attempts: number): Promise<void>;
}

/** Delivers all messages, each until it is acknowledged, and lets something happen in the middle. */
export async function underLoad(
  stack: FaultStack,
  messages: readonly Message[],
  happens: (load: Load) => Promise<void>,
): Promise<Attempt[]> {
  const counts = { acknowledged: 0, refused: 0 };
  let isOver = false;
  const sent = sendAll(messages, {
    senders: SENDERS,
    schedule: SCHEDULE,
    send: stack.deliver,
    onAttempt: (attempt) => counts[isAcknowledged(attempt) ? "acknowledged" : "refused"]++,
  }).finally(() => isOver = true);

  const [attempts] = await Promise.all([
    sent,
    happens({
      acknowledged: (deliveries) =>
        until(
          `${deliveries} deliveries are acknowledged`,
          () => isOver || counts.acknowledged >= deliveries,
          PATIENCE_MS,
        ),
      refused: (more) => {
        const wanted = counts.refused + more;
        return until(
          `${more} more attempts are refused`,
          () => isOver || counts.refused >= wanted,
          PATIENCE_MS,
        );
      },
    }),
  ]);
  return attempts;
}
