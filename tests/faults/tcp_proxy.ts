import { connect, createServer, type Socket } from "node:net";

/** What happens to connections, those that are open and those that come. */
export type Affliction =
  /** Hangs up on whoever says something. */
  | { readonly kind: "refuses" }
  /** Half-open: takes every byte, passes none on, never answers. */
  | { readonly kind: "swallows" }
  /** Passes everything on until an answer has this text: that one never comes, and the line stays. */
  | { readonly kind: "stalls"; readonly answer: string }
  /** Passes everything on until an answer has this text, and resets the connection instead. */
  | { readonly kind: "loses"; readonly answer: string };

/** A TCP proxy on loopback that can be told to misbehave. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** How many connections the affliction has hit so far. */
  readonly hits: number;
  afflict(affliction: Affliction): void;
  /** Passes everything on again. Connections that were hit are reset: they have lost bytes. */
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
        // What was asked is asked: the server finds out by itself, as when a line is cut.
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
