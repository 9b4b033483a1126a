import { deliver, type Delivery, type Message } from "../local/clerk/deliver.ts";

/** A delivery and the id of its message. */
export interface Sent extends Delivery {
  readonly id: string;
}

/** Where to send to. */
export interface Endpoint {
  readonly url: string;
  /** The signing secret. */
  readonly secret: string;
}

/**
 * Makes each delivery once, so many at a time. The next one begins when the last one was taken.
 *
 * @throws {Error} when the secret is malformed
 */
export async function deliverAll(
  { url, secret }: Endpoint,
  messages: readonly Message[],
  { concurrency, take, stop }: {
    readonly concurrency: number;
    readonly take: (sent: Sent) => Promise<void> | void;
    readonly stop?: AbortSignal;
  },
): Promise<void> {
  const queue = messages.values();
  const sender = async (): Promise<void> => {
    for (const message of queue) {
      if (stop?.aborted) return;
      await take({ id: message.id, ...await deliver(url, secret, message) });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sender));
}

/** The same messages in random order. */
export function shuffle(messages: readonly Message[]): Message[] {
  return messages
    .map((message) => ({ message, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ message }) => message);
}
