import { aClerkUser, aDeletedClerkUser, anEvent, anId } from "../local/clerk/events.ts";
import type { Message } from "../local/clerk/deliver.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { aCrowd } from "../tests/clerk/crowd.ts";
import type { Benchmark, Context, Measure, Ratio, Result, Table } from "./benchmark.ts";
import { median } from "./statistics.ts";
import {
  type ApiName,
  APIS,
  type Approach,
  CLAIM_WORK_COMPLETE,
  type Contender,
  INSERT_UPDATE,
  OURS,
  SELECT_THEN_WRITE,
  start,
} from "./whole_path/contender.ts";
import { aMessage, type Load, type Pace, paceOf, send, SENDERS } from "./whole_path/load.ts";
import { type Losses, lossesOf } from "./whole_path/losses.ts";

const RIVALS: readonly Approach[] = [INSERT_UPDATE, SELECT_THEN_WRITE, CLAIM_WORK_COMPLETE];
const APPROACHES = [OURS, ...RIVALS];

/** Behind the lean API, by the clock and by CPU. The first rival offers no idempotency at all. */
const AIMS: ReadonlyMap<Approach, number> = new Map([
  [INSERT_UPDATE, 0.55],
  [SELECT_THEN_WRITE, 0.95],
  [CLAIM_WORK_COMPLETE, 1.25],
]);

/** The users of one turn. One in so many is deleted. */
const PEOPLE = 50;
const ONE_IN = 10;
const DELIVERIES = 2 * PEOPLE + PEOPLE / ONE_IN;

export const wholePath: Benchmark = {
  name: "whole_path",
  title: "The whole path over HTTP, and its losses",
  question:
    "How long does a delivery take from request to answer, and how much is lost, compared with three " +
    "handlers as they are commonly written?",
  method:
    `Four functions, each in its own Deno process, with its own database on the same Postgres. The
three others are in [bench/handlers](../bench/handlers): *insert, update* as in the guides, which
ignores duplicates; *select, then write*; and *claim, work, complete* with a table of processed
events. Postgres waits for the disk at each commit, as on Supabase (\`fsync = on\`).

Each speaks to two APIs in turn. The *lean API* ([lean_api.ts](../bench/whole_path/lean_api.ts)) gives
Postgres the same work as PostgREST: one transaction for each request, with PostgREST's own statements,
prepared, over ten connections. The aims are for it. The *local API* is that of the local stack, which
costs more than PostgREST, for all four alike.

Pace: users are created and changed, and some deleted, in order, ${SENDERS} deliveries at a time; the
four functions take turns every ${DELIVERIES} deliveries. Connections are warm, because Postgres compiles the
functions once in each. CPU is that of everything: Postgres, the function, API and senders.
Losses: behind the local API, ${SENDERS} senders deliver the users' events shuffled and up to three times, the
function is killed on the way, and deliveries without a 2xx are retried up to eight times. The rows are
then compared with Clerk's state. At the end, every message is delivered once more.`,
  runs: 5,
  run,
  explain,
};

type Paces = ReadonlyMap<ApiName, ReadonlyMap<Approach, readonly Pace[]>>;

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const paces = new Map(
    APIS.map((api) =>
      [api, new Map<Approach, Pace[]>(APPROACHES.map((approach) => [approach, []]))] as const
    ),
  );
  const losses = new Map<Approach, Losses[]>(APPROACHES.map((approach) => [approach, []]));

  progress("starting the four");
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on" },
  });
  await using contenders = new AsyncDisposableStack();
  const started: Contender[] = [];
  for (const approach of APPROACHES) started.push(contenders.use(await start(approach, server)));
  for (const api of APIS) {
    for (const contender of started) await send(contender, lives(quick ? PEOPLE : 6 * PEOPLE), api);
  }

  for (let number = 0; number < runs; number++) {
    progress(`pace, run ${number + 1} of ${runs}`);
    for (const api of APIS) {
      const loads = new Map<Contender, Load[]>(started.map((contender) => [contender, []]));
      for (let turn = 0; turn < (quick ? 1 : 5); turn++) {
        for (const contender of inTurn(started, number + turn)) {
          loads.get(contender)?.push(await send(contender, lives(PEOPLE), api));
        }
      }
      for (const [{ approach }, each] of loads) paces.get(api)?.get(approach)?.push(paceOf(each));
    }
  }
  for (const contender of started) contender.use("local");
  for (let number = 0; number < runs; number++) {
    progress(`losses, run ${number + 1} of ${runs}`);
    const crowd = aCrowd(quick ? 20 : 50, number);
    for (const contender of started) {
      losses.get(contender.approach)?.push(
        await lossesOf(contender, crowd, { crashes: quick ? 1 : 2 }),
      );
    }
  }
  return {
    ratios: ratiosOf(paces),
    measures: measuresOf(paces),
    tables: [lossTable(losses, runs)],
  };
}

/** All users are created, then changed, then every tenth is deleted. */
function lives(people: number): Message[] {
  const ids = Array.from({ length: people }, () => anId("user"));
  const at = Date.now();
  return [
    ...ids.map((id) => anEvent("user.created", aClerkUser({ id, updated_at: at }))),
    ...ids.map((id) =>
      anEvent("user.updated", aClerkUser({ id, first_name: "Changed", updated_at: at + 1 }))
    ),
    ...ids.filter((_, number) => number % ONE_IN === 0).map((id) =>
      anEvent("user.deleted", aDeletedClerkUser(id))
    ),
  ].map(aMessage);
}

/** Rotates the order by one in each turn. */
function inTurn<Item>(items: readonly Item[], turn: number): Item[] {
  const at = turn % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

const UNITS: Readonly<Record<keyof Pace, string>> = {
  perSecond: "deliveries/s",
  perCpuSecond: "deliveries per second of CPU",
  p50: "ms p50",
  p95: "ms p95",
  requests: "requests to the API per delivery",
  postgres: "ms of CPU in Postgres",
  function: "ms of CPU in the function",
  rest: "ms of CPU in API and senders",
};

const behind = (api: ApiName): string => `behind the ${api} API`;

function ratiosOf(paces: Paces): Ratio[] {
  const ratios = (api: ApiName, figures: readonly (keyof Pace)[]): Ratio[] =>
    RIVALS.flatMap((rival) =>
      figures.map((figure) => {
        const theirs = paces.get(api)?.get(rival) ?? [];
        const aim = AIMS.get(rival);
        return {
          case: behind(api),
          of: `${OURS.name}, ${UNITS[figure]}`,
          to: rival.name,
          samples: (paces.get(api)?.get(OURS) ?? []).map((ours, run) =>
            ours[figure] / (theirs[run]?.[figure] ?? NaN)
          ),
          ...(figure.startsWith("per")
            ? { better: "higher", ...(api === "lean" && aim !== undefined ? { aim } : {}) }
            : { better: "lower" }),
        } as const;
      })
    );
  return [
    ...ratios("lean", ["perSecond", "perCpuSecond", "p50", "p95"]),
    ...ratios("local", ["perSecond"]),
  ]
    .filter(({ samples }) => samples.every(Number.isFinite));
}

function measuresOf(paces: Paces): Measure[] {
  return [...paces].flatMap(([api, ofApi]) =>
    (Object.keys(UNITS) as (keyof Pace)[]).flatMap((figure) =>
      [...ofApi].map(([{ name }, paces]) => ({
        case: behind(api),
        side: name,
        unit: UNITS[figure],
        samples: paces.map((pace) => pace[figure]),
      }))
    )
  ).filter(({ samples }) => samples.every(Number.isFinite));
}

function lossTable(losses: ReadonlyMap<Approach, readonly Losses[]>, runs: number): Table {
  const HEADS: Record<keyof Losses, string> = {
    resurrected: "deleted, but still there",
    missing: "missing",
    stale: "outdated",
    wrongEmail: "wrong address",
    givenUp: "messages never accepted",
    writesByReplay: "rows written by the last replay",
  };
  const kinds = Object.keys(HEADS) as (keyof Losses)[];
  return {
    title: `Losses, in users over all ${runs} runs unless the column says otherwise:`,
    head: ["handler", ...kinds.map((kind) => HEADS[kind])],
    rows: [...losses].map(([{ name }, all]) => [
      name,
      ...kinds.map((kind) => all.reduce((sum, each) => sum + each[kind], 0)),
    ]),
  };
}

function explain({ measures }: Result): string[] {
  const figure = (side: Approach, figure: keyof Pace): number =>
    median(
      measures.find((measure) =>
        measure.case === behind("lean") && measure.side === side.name &&
        measure.unit === UNITS[figure]
      )?.samples ?? [NaN],
    );
  const beside = (rival: Approach): string => {
    const difference = (where: "postgres" | "function" | "rest"): string => {
      const milliseconds = figure(OURS, where) - figure(rival, where);
      return `${Math.abs(milliseconds).toFixed(2)} ms ${milliseconds < 0 ? "less" : "more"}`;
    };
    return `Compared with *${rival.name}*, our delivery takes ${difference("postgres")} in ` +
      `Postgres, ${difference("function")} in the function, ${difference("rest")} in the API and ` +
      "the senders.";
  };

  return [
    `The machine's cores do everything here, so CPU time decides; here it is that behind the lean API. ${
      RIVALS.map(beside).join(" ")
    } In Postgres we write four rows instead of one or two, and keep the whole event (the ingest ` +
    "benchmark shows the cost).",
    `Requests to the API per delivery: ${
      APPROACHES.map((approach) => `${approach.name} ${figure(approach, "requests").toFixed(2)}`)
        .join("; ")
    }. The two rivals with more than one request also need more than one transaction; here it is one.`,
    "In the other handlers, an update that arrives before the creation finds no row, or makes one that " +
    "the creation then overwrites with older data. A deletion that arrives first deletes nothing, and " +
    "the creation then brings the user back for good. A table of processed events prevents neither: it " +
    "detects events that arrive twice, not events that arrive late.",
  ];
}
