import { Webhook } from "svix";
import { aClerkOrganization, aClerkUser, anEvent, type JsonObject } from "../local/clerk/events.ts";
import { signedHeadersFor } from "../local/clerk/deliver.ts";
import { connect } from "../functions/_shared/clerk_sync/supabase.ts";
import { readEvent } from "../functions/clerk-webhook/event.ts";
import { createInbox } from "../functions/clerk-webhook/inbox.ts";
import { createVerifier } from "../functions/clerk-webhook/verify.ts";
import { createHandler } from "../functions/clerk-webhook/handler.ts";
import { aSigningSecret } from "../local/clerk/signing_secret.ts";
import { alternate, type Cost } from "./alternate.ts";
import type { Benchmark, Context, Measure, Ratio, Result } from "./benchmark.ts";
import { median } from "./statistics.ts";

const KILOBYTES = [1, 3, 30, 300];
const AIMED_AT = 3;
/** Room for plain libraries, plainly used. The explanation below says why it is not less. */
const AIM = 2;

const FLOOR = "svix verify and JSON.parse";
const OURS = "verify, read, rpc()";

/** The pieces of a delivery, in the order in which they are measured. */
const PIECES = [
  FLOOR,
  OURS,
  "svix verify",
  "JSON.parse",
  "read: depth, escapes, JSON.parse, zod",
  "supabase-js rpc()",
  "whole handler, from Request to Response",
] as const;

export const work: Benchmark = {
  name: "work",
  title: "Work per delivery in the function",
  question: "How much does a delivery cost the function beyond the unavoidable minimum?",
  method:
    "One process, no network: a signed user event of 1, 3, 30 or 300 kB is verified, read (limits, " +
    "`JSON.parse`, zod) and passed to supabase-js, whose `fetch` answers at once. The floor is svix's " +
    "`verify()` and `JSON.parse` of the same body alone. All sides are warm. Batches of 4 ms " +
    "alternate, and the figure of a run is the lower quartile of its batches, which reduces the " +
    "influence of other work on the machine.",
  runs: 5,
  run,
  explain,
};

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const ratios: Ratio[] = [];
  const measures: Measure[] = [];
  const realFetch = globalThis.fetch;
  globalThis.fetch = () => Promise.resolve(ANSWER as Response);
  try {
    for (const kilobytes of KILOBYTES) {
      progress(`${kilobytes} kB`);
      const sides = sidesFor(kilobytes);
      const costs: Cost[][] = [];
      for (let number = 0; number < runs; number++) {
        costs.push(await alternate(sides, quick ? 10 : 60));
      }

      const name = `${kilobytes} kB`;
      const samplesOf = (piece: number, clock: "wall" | "cpu"): number[] =>
        costs.map((run) => run[piece]?.[clock] ?? NaN);
      for (const clock of ["cpu", "wall"] as const) {
        const floor = samplesOf(0, clock);
        ratios.push({
          case: name,
          of: clock === "cpu" ? "the function's work, CPU" : "the function's work, wall",
          to: "svix and JSON.parse",
          samples: samplesOf(1, clock).map((ours, run) => ours / (floor[run] ?? NaN)),
          better: "lower",
          ...(kilobytes === AIMED_AT ? { aim: AIM } : {}),
        });
      }
      PIECES.forEach((side, piece) => {
        measures.push({ case: name, side, unit: "µs CPU", samples: samplesOf(piece, "cpu") });
        measures.push({ case: name, side, unit: "µs", samples: samplesOf(piece, "wall") });
      });
    }
  } finally {
    globalThis.fetch = realFetch;
  }
  return { ratios, measures };
}

/** One function for each of {@linkcode PIECES}, all with the same body. */
function sidesFor(kilobytes: number): (() => unknown)[] {
  const secret = aSigningSecret();
  const body = bodyOf(kilobytes * 1000);
  const headers = signedHeadersFor({ id: "msg_1", body }, secret);
  const { "svix-id": id = "", "svix-timestamp": timestamp = "", "svix-signature": signature = "" } =
    headers;
  const svix = new Webhook(secret);

  const verify = createVerifier(secret);
  const inbox = createInbox(connect("http://127.0.0.1:9", "sb_secret_made_up"));
  const handler = createHandler({ verify, inbox, log: () => {} });
  const reading = readEvent(body);
  if (reading.kind !== "readable") throw new Error("Cannot measure as the event is unreadable");

  return [
    () => {
      svix.verify(body, headers);
      JSON.parse(body);
    },
    async () => {
      if (!verify(body, { id, timestamp, signature })) throw new Error("not authentic");
      const read = readEvent(body);
      if (read.kind === "readable") await inbox.ingest(id, read);
    },
    () => svix.verify(body, headers),
    () => JSON.parse(body),
    () => readEvent(body),
    () => inbox.ingest(id, reading),
    async () => {
      const request = new Request("http://127.0.0.1/", { method: "POST", headers, body });
      await (await handler(request)).text();
    },
  ];
}

/** The answer of `fetch`: only the parts of a response that supabase-js reads. */
const ANSWER = {
  ok: true,
  status: 200,
  statusText: "OK",
  headers: new Headers(),
  text: () => Promise.resolve('{"outcome":"applied"}'),
};

/** An event of about this size, filled up with metadata: an organization if it is small, else a user. */
function bodyOf(bytes: number): string {
  const settings: JsonObject = {};
  const eventNow = (): string =>
    JSON.stringify(
      bytes < 2000
        ? anEvent("organization.updated", aClerkOrganization({ public_metadata: settings }))
        : anEvent("user.updated", aClerkUser({ public_metadata: settings })),
    );

  const missing = bytes - eventNow().length;
  for (let number = 0; number * 50 < missing; number++) {
    settings[`setting_${String(number).padStart(5, "0")}`] = "something that the person chose";
  }
  return eventNow();
}

function explain({ measures }: Result): string[] {
  const microseconds = (side: string): number =>
    median(
      measures.find((measure) =>
        measure.case === `${AIMED_AT} kB` && measure.side === side && measure.unit === "µs"
      )?.samples ?? [NaN],
    );
  const share = (side: string): string => (microseconds(side) / microseconds(FLOOR)).toFixed(2);

  return [
    `At ${AIMED_AT} kB, in units of the floor: svix's \`verify()\` takes ${
      share("svix verify")
    }, ` +
    `\`JSON.parse\` ${share("JSON.parse")}; reading with every check and zod ${
      share(PIECES[4])
    }, the parse included; supabase-js's \`rpc()\` ${share(PIECES[5])}.`,
    `The aim is ${AIM} and not less, because the difference is microseconds in a delivery that takes ` +
    "milliseconds in the database. A native hash instead of svix's, precompiled schemas and a shortcut " +
    "for small bodies once made the function faster. They are gone: the function that checks " +
    "signatures has to be trusted, and plain use of plain libraries is easier to trust. Most of the " +
    "rest is supabase-js, which makes a URL and several `Headers` for each request. That does not grow " +
    "with the body, so the smallest body has the largest ratio.",
  ];
}
