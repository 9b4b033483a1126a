import { settlesWithin } from "../../local/settles_within.ts";

/** What a server answered. */
export interface RawAnswer {
  /** The status of its first answer; 0 when it closed the connection without any. */
  readonly status: number;
  /** The outcome that the webhook's answer names, if it is the webhook's. */
  readonly outcome: string | null;
  /** Everything it sent. */
  readonly text: string;
  readonly milliseconds: number;
}

/** Sends bytes; rejects when the other side has closed the connection. */
export type Write = (bytes: string | Uint8Array) => Promise<void>;

/** How long an answer may take, ms. */
const PATIENCE = 20_000;

/**
 * Opens a connection, sends, and reads until the server closes or has answered completely.
 *
 * @param send may go on for ever: after the answer a write fails and stops it
 * @param answers after how many answers the connection is closed
 */
export async function speak(
  url: string,
  send: (write: Write, connection: Deno.TcpConn) => Promise<void>,
  answers = 1,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const started = performance.now();
  const connection = await Deno.connect({ hostname, port: Number(port) });
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    connection.close();
  };

  const write: Write = async (bytes) => {
    let rest = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
    while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
  };
  const sending = send(write, connection).catch(() => {});
  const reading = readAnswers(connection, answers);

  const isInTime = await settlesWithin(reading.ended, PATIENCE);
  close();
  await settlesWithin(sending, 1_000);
  if (!isInTime) throw new Error(`Timed out after ${PATIENCE / 1000} s waiting for an answer`);

  const text = reading.text();
  return {
    status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0),
    outcome: /\r\n\{"outcome":"(\w+)"/.exec(text)?.[1] ?? null,
    text,
    milliseconds: performance.now() - started,
  };
}

function readAnswers(
  connection: Deno.TcpConn,
  answers: number,
): { readonly ended: Promise<void>; text(): string } {
  let text = "";
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    try {
      while (countOf(text) < answers) {
        const length = await connection.read(buffer);
        if (length === null) return;
        text += decoder.decode(buffer.subarray(0, length), { stream: true });
      }
    } catch {
      // The other side, or we, closed the connection.
    }
  };
  return { ended: read(), text: () => text };
}

/** How many complete answers there are; the webhook and Deno send a content-length. */
function countOf(text: string): number {
  let count = 0;
  for (let rest = text;;) {
    const head = /^HTTP\/1\.[01] [^]*?\r\n\r\n/.exec(rest)?.[0];
    if (head === undefined) return count;
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    if (rest.length < head.length + length) return count;
    rest = rest.slice(head.length + length);
    count++;
  }
}
