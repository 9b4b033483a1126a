import { aClerkUser, aDeletedClerkUser, anEvent, anId } from "../local/clerk/events.ts";
import type { Message } from "../local/clerk/deliver.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { aCrowd } from "../tests/clerk/crowd.ts";
import type { Benchmark, Context, Measure, Ratio, Result, Table } from "./benchmark.ts";
import { median } from "./statistics.ts";
import {
  type Approach,
  CLAIM_WORK_COMPLETE,
  type Contender,
  INSERT_UPDATE,
  OURS,
  SELECT_THEN_WRITE,
  start,
} from "./whole_path/contender.ts";
import type { CpuTime } from "./whole_path/cpu_time.ts";
import { aMessage, type Pace, pace, SENDERS } from "./whole_path/load.ts";
import { type Losses, lossesOf } from "./whole_path/losses.ts";

const RIVALS: readonly Approach[] = [INSERT_UPDATE, SELECT_THEN_WRITE, CLAIM_WORK_COMPLETE];
const APPROACHES = [OURS, ...RIVALS];

/** How much slower we may be than the handler that offers no idempotency at all. */
const NO_SLOWER_THAN = 1.15;

export const wholePath: Benchmark = {
  name: "whole_path",
  title: "The whole path over HTTP, and its losses",
  question:
    "How long does a delivery take from request to answer, and how much is lost, compared with three " +
    "handlers as they are commonly written?",
  method:
    `Four functions, each in its own Deno process, with its own database on the same Postgres and
the same local API (a stand-in for PostgREST that also makes one transaction of each request). The
three others are in [bench/handlers](../bench/handlers): *insert, update* as in the guides, which
ignores duplicates; *select, then write*; and *claim, work, complete* with a table of processed
events. Postgres waits for the disk at each commit, as on Supabase (\`fsync = on\`).

Pace: users are created and changed, and some deleted, in order, ${SENDERS} deliveries at a time; the
four functions take turns. Connections are warm, because Postgres compiles the functions once in each.
Losses: ${SENDERS} senders deliver the users' events shuffled and up to three times, the function is killed
on the way, and deliveries without a 2xx are retried up to eight times. The rows are then compared with
Clerk's state. At the end, every message is delivered once more.`,
  runs: 5,
  run,
  explain,
};

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const paces = new Map<Approach, Pace[]>(APPROACHES.map((approach) => [approach, []]));
  const losses = new Map<Approach, Losses[]>(APPROACHES.map((approach) => [approach, []]));
  const people = quick ? 30 : 250;

  progress("starting the four");
  await using server = await startEphemeralPostgres({
    settings: { fsync: "on", full_page_writes: "on" },
  });
  await using contenders = new AsyncDisposableStack();
  const started: Contender[] = [];
  for (const approach of APPROACHES) started.push(contenders.use(await start(approach, server)));
  for (const contender of started) await pace(contender, lives(2 * people));

  for (let number = 0; number < runs; number++) {
    progress(`pace, run ${number + 1} of ${runs}`);
    for (const contender of inTurn(started, number)) {
      paces.get(contender.approach)?.push(await pace(contender, lives(people)));
    }
  }
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
    ...ids.filter((_, number) => number % 10 === 0).map((id) =>
      anEvent("user.deleted", aDeletedClerkUser(id))
    ),
  ].map(aMessage);
}

/** Rotates the order by one in each run. */
function inTurn<Item>(items: readonly Item[], run: number): Item[] {
  const at = run % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** The parts of a pace that are a single number. */
type Figure = Exclude<keyof Pace, "cpu">;

function ratiosOf(paces: ReadonlyMap<Approach, readonly Pace[]>): Ratio[] {
  const samples = (rival: Approach, what: Figure): number[] =>
    (paces.get(OURS) ?? []).map((ours, run) =>
      ours[what] / (paces.get(rival)?.[run]?.[what] ?? NaN)
    );

  return RIVALS.flatMap((rival) => {
    const offersNone = rival === INSERT_UPDATE;
    const common = { case: `against ${rival.name}`, to: "theirs" };
    const slowest = { atMost: offersNone ? NO_SLOWER_THAN : 1 };
    return [
      {
        ...common,
        of: "requests/s",
        samples: samples(rival, "perSecond"),
        aim: { atLeast: offersNone ? Number((1 / NO_SLOWER_THAN).toFixed(2)) : 1 },
      },
      { ...common, of: "p50", samples: samples(rival, "p50"), aim: slowest },
      { ...common, of: "p95", samples: samples(rival, "p95") },
    ];
  });
}

function measuresOf(paces: ReadonlyMap<Approach, readonly Pace[]>): Measure[] {
  const UNITS = {
    perSecond: "requests/s",
    p50: "ms p50",
    p95: "ms p95",
    requests: "PostgREST requests per event",
  };
  const figures = (Object.keys(UNITS) as Figure[]).flatMap((what) =>
    [...paces].map(([{ name }, paces]) => ({
      case: `${SENDERS} at a time`,
      side: name,
      unit: UNITS[what],
      samples: paces.map((pace) => pace[what]),
    }))
  );
  const cpu = (Object.keys(CPU) as (keyof CpuTime)[]).flatMap((where) =>
    [...paces].map(([{ name }, paces]) => ({
      case: "CPU a delivery",
      side: name,
      unit: CPU[where],
      samples: paces.map((pace) => pace.cpu[where]),
    }))
  );
  return [...figures, ...cpu.filter(({ samples }) => samples.every(Number.isFinite))];
}

const CPU: Readonly<Record<keyof CpuTime, string>> = {
  postgres: "ms in Postgres",
  function: "ms in the function",
  rest: "ms in API and senders",
};

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
  const requests = (side: Approach): string =>
    median(
      measures.find((measure) => measure.side === side.name && measure.unit.startsWith("PostgREST"))
        ?.samples ?? [NaN],
    ).toFixed(2);

  const cpu = (side: Approach, where: keyof CpuTime): number =>
    median(
      measures.find((measure) => measure.side === side.name && measure.unit === CPU[where])
        ?.samples ?? [NaN],
    );
  const beside = (rival: Approach): string => {
    const difference = (where: keyof CpuTime): string => {
      const milliseconds = cpu(OURS, where) - cpu(rival, where);
      return `${Math.abs(milliseconds).toFixed(1)} ms ${milliseconds < 0 ? "less" : "more"}`;
    };
    return `Compared with *${rival.name}*, our delivery takes ${difference("postgres")} in ` +
      `Postgres, ${difference("function")} in the function, ${
        difference("rest")
      } in the local API ` +
      "and the senders.";
  };

  return [
    `The machine's cores do everything here, so CPU time decides. ${beside(INSERT_UPDATE)} ${
      beside(SELECT_THEN_WRITE)
    } In Postgres we write four rows instead of one, and keep the whole event (the ingest benchmark ` +
    "shows the cost). The local API parses a body with a JSON argument several times, where PostgREST " +
    "passes it on, and prepares no statements, where PostgREST does. It sends about twelve statements " +
    "per request, for all four functions alike.",
    `PostgREST requests per event: ${
      APPROACHES.map((approach) => `${approach.name} ${requests(approach)}`).join(", ")
    }. The two rivals with idempotency pay for it in requests; here it is one transaction.`,
    "In the other handlers, an update that arrives before the creation finds no row, or makes one that " +
    "the creation then overwrites with older data. A deletion that arrives first deletes nothing, and " +
    "the creation then brings the user back for good. A table of processed events prevents neither: it " +
    "detects events that arrive twice, not events that arrive late.",
  ];
}
