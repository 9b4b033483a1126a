import type { Delivery, Message } from "./deliver.ts";

/** One attempt to deliver one message. */
export interface Attempt extends Delivery {
  readonly messageId: string;
  /** 1 for the first. */
  readonly number: number;
  /** When it was answered, ms since the senders started. */
  readonly at: number;
}

export interface SendersOptions {
  /** How many send at once. */
  readonly senders: number;
  /** The waits after the first, second, … failed attempt, ms. After the last attempt Svix gives up. */
  readonly schedule: readonly number[];
  readonly send: (message: Message) => Promise<Delivery>;
  readonly onAttempt?: (attempt: Attempt) => void;
}

export function isAcknowledged({ status }: Delivery): boolean {
  return status >= 200 && status < 300;
}

/**
 * Delivers every message as Svix does: it repeats the attempt by the schedule until it is answered with
 * 2xx. A message that is due again goes to the end of the line. Settles when nothing is left to send.
 */
export async function sendAll(
  messages: readonly Message[],
  options: SendersOptions,
): Promise<Attempt[]> {
  const { schedule, send, onAttempt } = options;
  const started = performance.now();
  const attempts: Attempt[] = [];
  const line = messages.map((message) => ({ message, number: 1 }));
  const idle: (() => void)[] = [];
  let next = 0;
  let open = messages.length;

  const wakeAll = (): void => idle.splice(0).forEach((wake) => wake());
  const work = async (): Promise<void> => {
    while (open > 0) {
      const turn = line[next];
      if (turn === undefined) {
        await new Promise<void>((wake) => idle.push(wake));
        continue;
      }
      next++;

      const { message, number } = turn;
      const delivery = await send(message);
      const attempt = {
        ...delivery,
        messageId: message.id,
        number,
        at: performance.now() - started,
      };
      attempts.push(attempt);
      onAttempt?.(attempt);

      const wait = isAcknowledged(delivery) ? undefined : schedule[number - 1];
      if (wait === undefined) {
        open--;
        if (open === 0) wakeAll();
        continue;
      }
      setTimeout(() => {
        line.push({ message, number: number + 1 });
        idle.shift()?.();
      }, wait);
    }
  };

  await Promise.all(Array.from({ length: options.senders }, work));
  return attempts;
}
