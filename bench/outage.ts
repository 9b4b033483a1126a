import type { Benchmark, Context, Result } from "./benchmark.ts";
import { type DrainResult, measureDrain } from "./drain.ts";

export const outage: Benchmark = {
  name: "outage",
  title: "Drain after an outage",
  question: "Once the database is back, how long does it take to apply the backlog?",
  method: [
    "64 senders make 20,000 deliveries (users, teams, renames, departures, deletions; some objects far",
    "more often than others) while Postgres is down. Each delivery is refused with 503 and retried on",
    "Svix's schedule, 600 times faster. Once each has been refused, Postgres starts. At the end every",
    "row is compared with a model's. Senders, function, API and Postgres share the machine, with",
    "`fsync = on`. `deno run -A bench/drain.ts` measures this alone and prints more.",
  ].join("\n"),
  runs: 1,
  run,
  explain: () => [
    "The backlog drains at the rate of the whole path with 64 requests in flight. The function tries a " +
    "delivery up to three times when it deadlocks, so the sender rarely sees a deadlock.",
  ],
};

async function run({ quick, progress }: Context): Promise<Result> {
  const result = await measureDrain({
    deliveries: quick ? 500 : 20_000,
    senders: quick ? 16 : 64,
    onProgress: progress,
  });
  if (result.lost > 0 || !result.equalsModel) {
    throw new Error(`Cannot report as the outage lost ${result.lost} deliveries, or rows differ`);
  }
  return {
    ratios: [],
    measures: [],
    tables: [{ title: "What happened", head: ["what", "figure"], rows: rowsOf(result) }],
    course: {
      title: "Deliveries answered in each second: more acknowledged is better",
      unit: "deliveries/s",
      lines: [
        { name: "acknowledged", values: result.series.map(({ acknowledged }) => acknowledged) },
        { name: "refused", values: result.series.map(({ refused }) => refused) },
      ],
      mark: { second: result.databaseBackAt, text: "database back" },
    },
  };
}

function rowsOf(result: DrainResult): [string, string | number][] {
  const { drain } = result;
  return [
    ["deliveries", result.deliveries],
    ["senders at once", result.senders],
    ["seconds from the return of the database to the last one applied", drain.seconds],
    ["deliveries per second in that time", drain.deliveriesPerSecond],
    ["seconds from the return of the database to the first one applied", drain.firstAfterSeconds],
    ["attempts during the outage, all refused with 503", result.outage.attempts],
    ["attempts afterwards", drain.attempts],
    ["most attempts for one delivery", result.mostAttemptsForOne],
    ["given up by the schedule", result.givenUp],
    ["deadlocks", result.deadlocks],
    ["of these retried by the function, unseen by the sender", result.retriesInFunction],
    ["acknowledged", result.acknowledged],
    ["of these kept", result.kept],
    ["lost", result.lost],
    ["changes announced twice", result.announcedTwice],
  ];
}
