import type { Outcome } from "../../functions/clerk-webhook/handler.ts";
import type { Write } from "./raw_client.ts";

/** Bytes that no HTTP client would send, and the allowed answers. */
export interface HostileConnection {
  readonly what: string;
  /** May go on for ever: a write fails once the answer has come. */
  readonly send: (write: Write, connection: Deno.TcpConn) => Promise<void>;
  /**
   * Our outcomes, or what the HTTP server says before the request reaches us: 400 without a body, or
   * 0 when it closes the connection.
   */
  readonly expected: readonly (Outcome | 400 | 0)[];
  readonly answers?: number;
}

const HEAD = "POST / HTTP/1.1\r\nhost: localhost\r\n";
/** Complete, so that the body is read, but invalid, so that nothing is written. */
const POSING = "svix-id: msg_raw\r\nsvix-timestamp: 1760000000\r\nsvix-signature: v1,x\r\n";

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A connection that sends these bytes and nothing else. */
function saying(
  what: string,
  bytes: string | Uint8Array,
  ...expected: HostileConnection["expected"]
): HostileConnection {
  return { what, send: (write) => write(bytes), expected };
}

/** Slow connections: the function waits at most 10 s for a body. */
export function slowConnections(signed: Record<string, string>, body: string): HostileConnection[] {
  const signedHead = HEAD +
    Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const bytes = new TextEncoder().encode(body);
  const dribble = async (write: Write, pieces: number, milliseconds: number): Promise<void> => {
    const size = Math.ceil(bytes.length / pieces);
    for (let at = 0; at < bytes.length; at += size) {
      await write(bytes.subarray(at, at + size));
      await pause(milliseconds);
    }
  };

  return [
    {
      what: "control: a right body, in 10 pieces over half a second",
      send: async (write) => {
        await write(`${signedHead}content-length: ${bytes.length}\r\n\r\n`);
        await dribble(write, 10, 50);
      },
      expected: ["applied"],
    },
    {
      what: "a right body, whose last byte comes too late",
      send: async (write) => {
        await write(`${signedHead}content-length: ${bytes.length}\r\n\r\n`);
        await write(bytes.subarray(0, -1));
        await pause(60_000);
      },
      expected: ["incomplete"],
    },
    {
      what: "a byte now and then, without end",
      send: async (write) => {
        await write(`${HEAD}${POSING}content-length: 1000000\r\n\r\n`);
        for (;;) {
          await write("x");
          await pause(100);
        }
      },
      expected: ["incomplete"],
    },
    {
      what: "chunks now and then, without end",
      send: async (write) => {
        await write(`${HEAD}${POSING}transfer-encoding: chunked\r\n\r\n`);
        for (;;) {
          await write("1\r\nx\r\n");
          await pause(100);
        }
      },
      expected: ["incomplete"],
    },
    {
      what: "headers, and then silence",
      send: async (write) => {
        await write(`${HEAD}${POSING}content-length: 10\r\n\r\n`);
        await pause(60_000);
      },
      expected: ["incomplete"],
    },
  ];
}

/** Connections that are answered at once. */
export function quickConnections(
  signed: Record<string, string>,
  body: string,
): HostileConnection[] {
  const length = new TextEncoder().encode(body).length;
  const signedHead = HEAD +
    Object.entries(signed).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const chunked = `${HEAD}${POSING}transfer-encoding: chunked\r\n\r\n`;
  const megabyte = `100000\r\n${"x".repeat(1024 * 1024)}\r\n`;

  return [
    {
      what: "as many bytes as the wire takes, without end",
      send: async (write) => {
        await write(chunked);
        for (;;) await write(megabyte);
      },
      expected: ["too_large", 0],
    },
    {
      what: "a right body, broken off in the middle",
      send: async (write, connection) => {
        await write(`${signedHead}content-length: ${length}\r\n\r\n${body.slice(0, length / 2)}`);
        await connection.closeWrite();
      },
      expected: ["incomplete", 0],
    },
    saying(
      "a length that is too small",
      `${signedHead}content-length: ${length - 1}\r\n\r\n${body}`,
      "bad_signature",
    ),
    saying(
      "a second request hidden behind the body",
      `${HEAD}${POSING}content-length: 1\r\n\r\nxGET / HTTP/1.1\r\nhost: localhost\r\n\r\n`,
      "bad_signature",
    ),
    {
      what: "40 requests at once on one connection",
      send: (write) => write(`${HEAD}content-length: 2\r\n\r\n{}`.repeat(40)),
      expected: ["missing_headers"],
      answers: 40,
    },
    saying("a negative length", `${HEAD}content-length: -1\r\n\r\nok`, 400),
    saying("a length in words", `${HEAD}content-length: 1e3\r\n\r\nok`, 400),
    saying(
      "a length beyond all numbers",
      `${HEAD}content-length: ${"9".repeat(30)}\r\n\r\nok`,
      400,
    ),
    saying("two lengths", `${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\nokk`, 400),
    saying(
      "a length and chunks",
      `${HEAD}${POSING}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      400,
    ),
    saying("chunks without sizes", `${chunked}zz\r\nok\r\n`, "incomplete", 0),
    saying("a chunk beyond all sizes", `${chunked}${"f".repeat(18)}\r\nok\r\n`, "incomplete", 0),
    saying("an encoding that is none", `${HEAD}transfer-encoding: gzip\r\n\r\nok`, 400),
    saying(
      "10,000 headers",
      `${HEAD}${Array.from({ length: 10_000 }, (_, at) => `x-${at}: y\r\n`).join("")}\r\n`,
      400,
    ),
    saying("a header of 10 MB", `${HEAD}x: ${"y".repeat(10_000_000)}\r\n\r\n`, 400, 0),
    saying(
      "a signature of 1 MB",
      `${HEAD}svix-signature: ${"y".repeat(1_000_000)}\r\n\r\n`,
      400,
      0,
    ),
    saying("a path of 1 MB", `POST /${"p".repeat(1_000_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 400, 0),
    saying("a NUL in a header", `${HEAD}svix-id: a\0b\r\n\r\n`, 400),
    saying("a folded header", `${HEAD}svix-id: a\r\n b\r\n\r\n`, 400, "missing_headers"),
    saying("no host", "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "missing_headers", 400),
    saying("bare line feeds", "POST / HTTP/1.1\nhost: x\n\n", "missing_headers", 400),
    saying("HTTP/1.0", "POST / HTTP/1.0\r\n\r\n", "missing_headers"),
    saying("HTTP/0.9", "GET /\r\n", 400, 0),
    saying("HTTP/3.0", "POST / HTTP/3.0\r\nhost: x\r\n\r\n", 400, 0),
    saying("HTTP/2 that is none", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"x".repeat(1_000)}`, 0),
    saying(
      "TLS",
      new Uint8Array([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...Array(500).keys()]),
      400,
      0,
    ),
    saying("nothing that means anything", "\0\r\n\r\n\xff'; --\r\n\r\n", 400, 0),
    saying(
      "a method of 10,000 letters",
      `${"F".repeat(10_000)} / HTTP/1.1\r\nhost: x\r\n\r\n`,
      "method_not_allowed",
      400,
    ),
    saying("CONNECT", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    saying("TRACE", "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    saying("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", "method_not_allowed"),
    saying(
      "a host that is none",
      "POST / HTTP/1.1\r\nhost: a b'<>\r\n\r\n",
      "missing_headers",
      400,
    ),
    saying(
      "somebody else's URL",
      "POST http://evil.example/ HTTP/1.1\r\nhost: x\r\n\r\n",
      "missing_headers",
    ),
    saying(
      "an upgrade to a web socket",
      `GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n`,
      "method_not_allowed",
    ),
  ];
}
