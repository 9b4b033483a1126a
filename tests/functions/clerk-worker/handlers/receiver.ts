import { Webhook } from "standardwebhooks";

/** One message that a receiver got, and what it thought of the signature. */
export interface Received {
  readonly id: string;
  readonly body: string;
  readonly isAuthentic: boolean;
}

/** A service that receives forwarded changes, and answers as it is told. */
export interface Receiver extends AsyncDisposable {
  readonly url: URL;
  readonly received: Received[];
}

/** Starts a receiver on loopback, which verifies with the stock library. */
export function startReceiver(
  secret: string,
  answer: (received: Received, count: number) => Response | Promise<Response> = () =>
    new Response("thanks"),
): Receiver {
  const received: Received[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const body = await request.text();
      const headers = Object.fromEntries(request.headers);
      const message = {
        id: headers["webhook-id"] ?? "",
        body,
        isAuthentic: isAuthentic(secret, body, headers),
      };
      received.push(message);
      return await answer(message, received.length);
    },
  );

  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}/hook`),
    received,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function isAuthentic(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}
