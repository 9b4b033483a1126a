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

/** How often a sender may wait longer than for the handler that offers no idempotency at all. */
const NO_SLOWER_THAN = 1.15;

export const wholePath: Benchmark = {
  name: "whole_path",
  title: "The whole path over HTTP, and what is lost on it",
  question:
    "What does a delivery cost from request to answer, and what is left of it in the end, " +
    "beside three handlers as they are commonly written?",
  method: `Four functions, each in a Deno process of its own, with a database of its own on the same
Postgres, behind the same local API (not PostgREST itself, but it makes one transaction of each
request as PostgREST does). The three others are [bench/handlers](../bench/handlers): *insert,
update* as the guides have it, with no thought of duplicates; *select, then write*; and *claim, work,
complete* with a table of processed events. Postgres waits for the disk at each commit, as it does on
Supabase (\`fsync = on\`).

Pace: people are created, changed and some deleted, in order, ${SENDERS} deliveries at a time; the four
take turns. Connections are warm: Postgres compiles the functions once in each. Losses: people's events shuffled and delivered up to three times by ${SENDERS} senders, the
function killed on the way, and whatever was not answered 2xx sent again, eight times at most. The
rows are then compared with what Clerk would say. At last every message comes once more.`,
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

/** Everybody is created, then changed, then every tenth deleted. */
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

/** Another one begins in each run. */
function inTurn<Item>(items: readonly Item[], run: number): Item[] {
  const at = run % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/** What a pace has one number of. */
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
    resurrected: "deleted, yet there",
    missing: "missing",
    stale: "an old state",
    wrongEmail: "not the primary address",
    givenUp: "messages never taken",
    writesByReplay: "rows written by the last replay",
  };
  const kinds = Object.keys(HEADS) as (keyof Losses)[];
  return {
    title: `What was lost, people of all ${runs} runs together unless the column says otherwise:`,
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
    return `Beside *${rival.name}*, a delivery of ours takes ${difference("postgres")} of it in ` +
      `Postgres, ${difference("function")} in the function, ${
        difference("rest")
      } in the local API ` +
      "and the senders.";
  };

  return [
    `Two cores do everything here, so CPU time decides. ${beside(INSERT_UPDATE)} ${
      beside(SELECT_THEN_WRITE)
    } In Postgres ours writes four rows and not one, and keeps the whole event (see the ingest ` +
    "benchmark for what that costs). The local API parses a body with a JSON argument several times, " +
    "which PostgREST hands on as it is, prepares no statement, which PostgREST does, and sends about " +
    "twelve of them a request, of all four alike.",
    `PostgREST requests per event: ${
      APPROACHES.map((approach) => `${approach.name} ${requests(approach)}`).join(", ")
    }. What an approach makes of idempotency it pays for in requests; here it is one transaction.`,
    "An update that comes before its creation finds no row, or makes one that the creation, when it " +
    "comes, sets back. A deletion that comes first deletes nothing, and the creation then brings the " +
    "person back for good. A table of processed events helps against neither: it knows what came " +
    "twice, not what came late.",
  ];
}
