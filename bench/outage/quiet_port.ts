/**
 * A free port outside the range of outgoing connections. Within that range, a client that connects to a
 * port without a listener may get connected to itself.
 */
export function quietPort(): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("Cannot find a free port");
}
