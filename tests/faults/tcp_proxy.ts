import { connect, createServer, type Socket } from "node:net";

/** What happens to open and to new connections. */
export type Affliction =
  /** Hangs up as soon as the client sends something. */
  | { readonly kind: "refuses" }
  /** Half-open: accepts every byte, forwards none, never answers. */
  | { readonly kind: "swallows" }
  /** Forwards everything until an answer contains this text; keeps that answer and the connection. */
  | { readonly kind: "stalls"; readonly answer: string }
  /** Forwards everything until an answer contains this text; then resets the connection. */
  | { readonly kind: "loses"; readonly answer: string };

/** A TCP proxy on loopback that can be told to misbehave. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** How many connections the affliction has hit so far. */
  readonly hits: number;
  afflict(affliction: Affliction): void;
  /** Forwards everything again. Resets connections that were hit, because they have lost bytes. */
  heal(): void;
}

/** Starts a proxy in front of a port of 127.0.0.1. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  let affliction: Affliction | undefined;
  let hits = 0;
  const open = new Set<Socket>();
  const hit = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect({ port: target, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    const hangUp = (): void => {
      client.resetAndDestroy();
      upstream.destroy();
    };
    const strike = (): void => {
      if (hit.has(client)) return;
      hits++;
      hit.add(client);
    };

    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", hangUp);
      socket.on("close", () => {
        open.delete(socket);
        hit.delete(socket);
        client.destroy();
        // The request is out: the server has to find out by itself, as when a cable is cut.
        upstream.end();
      });
    }
    client.on("data", (bytes) => {
      if (affliction?.kind === "refuses") {
        strike();
        hangUp();
      } else if (affliction?.kind === "swallows") {
        strike();
      } else {
        upstream.write(bytes);
      }
    });
    upstream.on("data", (bytes) => {
      const strikes = affliction !== undefined && "answer" in affliction &&
        bytes.includes(affliction.answer);
      if (strikes) strike();
      if (strikes && affliction?.kind === "loses") hangUp();
      else if (!hit.has(client)) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");

  return {
    port: address.port,
    get hits() {
      return hits;
    },
    afflict: (wanted) => {
      affliction = wanted;
    },
    heal: () => {
      affliction = undefined;
      for (const client of [...hit]) client.resetAndDestroy();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
