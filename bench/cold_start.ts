import { fileURLToPath } from "node:url";
import { aClerkUser, anEvent } from "../local/clerk/events.ts";
import { signedHeadersFor } from "../local/clerk/deliver.ts";
import { startEdgeFunction } from "../local/functions/edge_function.ts";
import { hostedDeno } from "./hosted_deno.ts";
import { aSigningSecret } from "../local/clerk/signing_secret.ts";
import type { Benchmark, Context, Measure, Ratio, Result } from "./benchmark.ts";
import { median, quantile } from "./statistics.ts";

const AIM = 1.05;

const SIDES = [
  { name: "our webhook", entrypoint: "../functions/clerk-webhook/index.ts" },
  { name: "bare imports", entrypoint: "./cold_start/bare_imports.ts" },
  { name: "each package used once", entrypoint: "./cold_start/used_once.ts" },
  { name: "empty function", entrypoint: "./cold_start/empty.ts" },
] as const;

export const coldStart: Benchmark = {
  name: "cold_start",
  title: "Cold start",
  question:
    "How much longer does the first delivery take with our function than with a minimal one " +
    "that uses the same packages?",
  method:
    `The time from the start of the process to the first 200, for one signed \`user.created\`, with
every module in Deno's cache, on our Deno and on the one that hosted Supabase runs. Our webhook
verifies the event and calls an API, which answers at once. The minimal function [uses each package
once](../bench/cold_start/used_once.ts): it verifies, parses and calls, and does nothing else. Two more
functions show where the time goes: the [bare imports](../bench/cold_start/bare_imports.ts) load svix,
supabase-js and zod without using them, and the [empty function](../bench/cold_start/empty.ts) loads
nothing. All four start in turn, nine times per run; the figure of a run is the lower quartile, which
reduces the influence of other work on the machine.`,
  runs: 5,
  run,
  explain,
};

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const runtimes = [
    { name: `Deno ${Deno.version.deno}`, program: Deno.execPath() },
    { name: "Deno 2.1.4", program: await hostedDeno() },
  ];
  const starts = quick ? 2 : 9;
  const secret = aSigningSecret();
  await using api = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      await request.text();
      return Response.json({ outcome: "applied" });
    },
  );
  const apiHost = `127.0.0.1:${api.addr.port}`;

  const ratios: Ratio[] = [];
  const measures: Measure[] = [];
  for (const { name: runtime, program } of runtimes) {
    progress(runtime);
    const start = (side: number): Promise<number> =>
      untilFirstAnswer({
        deno: program,
        entrypoint: new URL(SIDES[side]?.entrypoint ?? "", import.meta.url),
        apiHost,
        secret,
      });
    // The first start fills Deno's caches.
    for (const side of SIDES.keys()) await start(side);

    const samples: number[][] = SIDES.map(() => []);
    for (let number = 0; number < runs; number++) {
      const times: number[][] = SIDES.map(() => []);
      for (let time = 0; time < starts; time++) {
        for (const side of SIDES.keys()) times[side]?.push(await start(side));
      }
      times.forEach((each, side) => samples[side]?.push(quantile(each, 0.25)));
    }

    const [ours = [], bare = [], used = [], empty = []] = samples;
    const common = { case: runtime, of: "our webhook", better: "lower" as const };
    ratios.push(
      {
        ...common,
        to: "each package used once",
        samples: divided(ours, used),
        aim: AIM,
      },
      { ...common, to: "bare imports", samples: divided(ours, bare) },
      {
        case: runtime,
        of: "each package used once",
        to: "bare imports",
        better: "lower",
        samples: divided(used, bare),
      },
      { ...common, to: "empty function", samples: divided(ours, empty) },
    );
    SIDES.forEach(({ name }, side) => {
      measures.push({ case: runtime, side: name, unit: "ms", samples: samples[side] ?? [] });
    });
  }
  return { ratios, measures };
}

function divided(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, run) => value / (under[run] ?? NaN));
}

/** Starts a function, delivers one event, stops it. Returns ms from start to answer. */
async function untilFirstAnswer(given: {
  deno: string;
  entrypoint: URL;
  apiHost: string;
  secret: string;
}): Promise<number> {
  const { deno, entrypoint, apiHost, secret } = given;
  const body = JSON.stringify(anEvent("user.created", aClerkUser()));
  const headers = signedHeadersFor({ id: "msg_1", body }, secret);
  const started = performance.now();

  await using process = await startEdgeFunction({
    name: fileURLToPath(entrypoint),
    deno,
    entrypoint,
    reaches: [apiHost],
    env: {
      SUPABASE_URL: `http://${apiHost}`,
      SUPABASE_SECRET_KEYS: JSON.stringify({ clerk_ingest: "sb_secret_made_up" }),
      CLERK_WEBHOOK_SIGNING_SECRET: secret,
    },
  });
  const response = await fetch(process.url, { method: "POST", headers, body });
  const { outcome } = await response.json();
  const milliseconds = performance.now() - started;

  if (outcome !== "applied") throw new Error(`Cannot measure as the function answered ${outcome}`);
  return milliseconds;
}

function explain({ measures }: Result): string[] {
  const runtimes = [...new Set(measures.map((measure) => measure.case))];
  return [
    ...runtimes.map((runtime) => {
      const [ours = NaN, bare = NaN, used = NaN, empty = NaN] = SIDES.map(({ name }) =>
        Math.round(median(
          measures.find((measure) => measure.case === runtime && measure.side === name)?.samples ??
            [NaN],
        ))
      );
      return `${runtime}: the runtime takes ${empty} ms, and importing the packages another ` +
        `${
          bare - empty
        } ms. With their first use it is ${used} ms in all; our webhook takes ${ours} ms.`;
    }),
    "The aim compares with each package used once, because a function that verifies, parses and calls " +
    "cannot take less with plain libraries: supabase-js makes its clients, Deno its HTTP client, svix " +
    "hashes in JavaScript that is not compiled yet, and zod makes its schemas. A comparison with bare " +
    "imports would mostly measure those packages, and reward tricks that postpone their work, which do " +
    "not belong in the function that checks signatures. We leave out only what configuration can leave " +
    "out: the auth client of supabase-js (there is never a session) and its search for a `WebSocket`.",
  ];
}
