import { parseArgs } from "node:util";
import { atLeastOne, runCommand } from "../cli/usage.ts";
import { deliver } from "../local/clerk/deliver.ts";
import { withConnection } from "../local/postgres/databases.ts";
import { generateKeys } from "../local/keys.ts";
import { startApiProcess } from "./outage/api_process.ts";
import { aBacklog } from "../tests/clerk/crowd.ts";
import { endConnections } from "./outage/end_connections.ts";
import { type OwnPostgres, startOwnPostgres } from "./outage/own_postgres.ts";
import { type Attempt, isAcknowledged, sendAll } from "../local/clerk/send_all.ts";
import { verdictOn } from "../tests/clerk/verdict.ts";
import { startWebhook, unavailableCode } from "./outage/webhook.ts";

const HELP = `Measures how a backlog drains after an outage of the database.

  deno run -A bench/drain.ts [--deliveries 20000] [--senders 64]

  --compression N   how many times faster than Svix's schedule retries are made (600)
  --seed N          seed of the messages (1)
  --json            print the whole result as JSON
`;

/** Svix's waits between attempts, in seconds: https://docs.svix.com/retries. Then it gives up. */
const SVIX_SCHEDULE = [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600];

export interface DrainOptions {
  readonly deliveries?: number;
  readonly senders?: number;
  /** How many times faster than Svix's schedule retries are made. */
  readonly compression?: number;
  readonly seed?: number;
  /** Called with what is being done. */
  readonly onProgress?: (text: string) => void;
}

/** The measurements, as plain JSON. Times are in seconds unless noted. */
export interface DrainResult {
  readonly deliveries: number;
  readonly senders: number;
  readonly seed: number;
  readonly compression: number;
  /** The waits between attempts that were used. */
  readonly schedule: readonly number[];
  /** While the database was down, until every delivery had been refused at least once. */
  readonly outage: { readonly seconds: number; readonly attempts: number };
  /** From the moment the database accepted connections again until the last delivery was applied. */
  readonly drain: {
    readonly seconds: number;
    readonly attempts: number;
    /** The first 2xx. */
    readonly firstAfterSeconds: number;
    readonly deliveriesPerSecond: number;
    /** Duration of the attempts that were answered with 2xx, ms. */
    readonly milliseconds: { readonly p50: number; readonly p95: number; readonly p99: number };
  };
  /** All attempts by status and outcome: `200 applied`, `503 unavailable`. */
  readonly answers: Readonly<Record<string, number>>;
  /** Codes that the function logged with `unavailable` after the database was back. */
  readonly unavailableBecause: Readonly<Record<string, number>>;
  readonly mostAttemptsForOne: number;
  /** Deliveries that Svix would have given up, and that were resent by hand at the end. */
  readonly givenUp: number;
  readonly acknowledged: number;
  readonly kept: number;
  /** Acknowledged but not in the database. */
  readonly lost: number;
  readonly equalsModel: boolean;
  readonly announcedTwice: number;
  /** `pg_stat_database.deadlocks`. */
  readonly deadlocks: number;
  /** Deadlocks that the function retried itself, unseen by the sender. */
  readonly retriesInFunction: number;
  /** Calls of `ingest_clerk_event` that the database ran, including those of abandoned requests. */
  readonly ingestCalls: number;
  /** The answers in each second since the senders began. */
  readonly series: readonly {
    readonly second: number;
    readonly acknowledged: number;
    readonly refused: number;
  }[];
  /** The second of the series in which the database came back. */
  readonly databaseBackAt: number;
}

/**
 * Measures the drain of a backlog. The database is killed while nothing is in flight. All deliveries
 * arrive at once, are refused, and are retried on Svix's schedule, compressed. Once each has been refused,
 * the database is started. Senders, function, API and Postgres are separate processes on this machine;
 * Postgres has `fsync` on.
 */
export async function measureDrain(options: DrainOptions = {}): Promise<DrainResult> {
  const { deliveries = 20_000, senders = 64, compression = 600, seed = 1 } = options;
  const progress = options.onProgress ?? (() => {});
  const schedule = SVIX_SCHEDULE.map((seconds) => seconds / compression);

  progress(`Making ${deliveries} messages`);
  const messages = aBacklog(deliveries, seed);
  progress("Starting Postgres, API and function");
  await using postgres = await startOwnPostgres({
    settings: { fsync: "on", track_functions: "pl" },
  });
  const superuserUrl = postgres.superuserUrl(postgres.database);
  const keys = await generateKeys();
  const codes: Record<string, number> = {};
  let isBack = false;
  let gone = 0;

  const { attempts, backAt, outageSeconds } = await (async () => {
    await using api = await startApiProcess({
      databasePort: postgres.port,
      databasePassword: postgres.password,
      database: postgres.database,
      keys,
    });
    await using webhook = await startWebhook(api.port, keys, (line) => {
      const code = unavailableCode(line);
      if (code !== undefined && isBack) codes[code] = (codes[code] ?? 0) + 1;
    });
    const send = (message: (typeof messages)[number]): ReturnType<typeof deliver> =>
      deliver(webhook.url, keys.signingSecret, message);
    await postgres.kill();

    progress("The database is down");
    const counts = { refusedOnce: 0, acknowledged: 0 };
    const allRefused = Promise.withResolvers<void>();
    const started = performance.now();
    const sent = sendAll(messages, {
      senders,
      schedule: schedule.map((seconds) => seconds * 1000),
      send,
      onAttempt: (attempt) => {
        if (attempt.number === 1) counts.refusedOnce++;
        if (counts.refusedOnce === deliveries) allRefused.resolve();
        if (isAcknowledged(attempt)) counts.acknowledged++;
      },
    });
    const ticker = setInterval(() => {
      progress(
        isBack
          ? `${counts.acknowledged} of ${deliveries} acknowledged`
          : `${counts.refusedOnce} of ${deliveries} refused while the database is down`,
      );
    }, 5_000);
    try {
      await allRefused.promise;
      const outageSeconds = (performance.now() - started) / 1000;
      await postgres.start();
      isBack = true;
      const backAt = performance.now() - started;
      progress("The database is back");
      const attempts = await sent;

      const done = new Set(attempts.filter(isAcknowledged).map(({ messageId }) => messageId));
      const givenUp = messages.filter(({ id }) => !done.has(id));
      gone = givenUp.length;
      const offset = performance.now() - started;
      const again = await sendAll(givenUp, { senders, schedule: [], send });
      return {
        attempts: [...attempts, ...again.map((each) => ({ ...each, at: each.at + offset }))],
        backAt,
        outageSeconds,
      };
    } finally {
      clearInterval(ticker);
    }
  })();

  progress("Comparing the rows with the model");
  const verdict = await verdictOn(superuserUrl, messages, attempts);
  const { deadlocks, ingestCalls } = await statisticsOf(postgres);
  const after = attempts.filter(({ at }) => at >= backAt);
  const acknowledged = attempts.filter(isAcknowledged);
  const times = acknowledged.map(({ at }) => (at - backAt) / 1000).sort((one, two) => one - two);
  const seconds = times.at(-1) ?? NaN;

  return {
    deliveries,
    senders,
    seed,
    compression,
    schedule,
    outage: { seconds: rounded(outageSeconds), attempts: attempts.length - after.length },
    drain: {
      seconds: rounded(seconds),
      attempts: after.length,
      firstAfterSeconds: rounded(times[0] ?? NaN),
      deliveriesPerSecond: rounded(deliveries / seconds),
      milliseconds: quantiles(acknowledged.map(({ milliseconds }) => milliseconds)),
    },
    answers: tally(attempts),
    unavailableBecause: codes,
    mostAttemptsForOne: attempts.reduce((most, { number }) => Math.max(most, number), 0),
    givenUp: gone,
    acknowledged: verdict.acknowledged,
    kept: verdict.kept,
    lost: verdict.lost,
    equalsModel: verdict.equalsModel,
    announcedTwice: verdict.announcedTwice,
    deadlocks,
    // The third deadlock of a delivery is not retried but reported to the sender.
    retriesInFunction: deadlocks - (codes["40P01"] ?? 0),
    ingestCalls,
    series: seriesOf(attempts),
    databaseBackAt: Math.floor(backAt / 1000),
  };
}

/** Postgres's own counts since it came back. */
async function statisticsOf(
  postgres: OwnPostgres,
): Promise<{ deadlocks: number; ingestCalls: number }> {
  return await withConnection(postgres.superuserUrl(postgres.database), async (sql) => {
    await endConnections(sql);
    const [row] = await sql<{ deadlocks: number; calls: number }[]>`
      select
        (
          select deadlocks::int from pg_stat_database where datname = current_database()
        ) as deadlocks,
        (
          select calls::int from pg_stat_user_functions where funcname = 'ingest_clerk_event'
        ) as calls
    `;
    return { deadlocks: row?.deadlocks ?? NaN, ingestCalls: row?.calls ?? NaN };
  });
}

function tally(attempts: readonly Attempt[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, outcome } of attempts) {
    const word = `${status} ${outcome}`;
    counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

function seriesOf(attempts: readonly Attempt[]): DrainResult["series"] {
  const series: { second: number; acknowledged: number; refused: number }[] = [];
  for (const attempt of attempts) {
    const second = Math.floor(attempt.at / 1000);
    while (series.length <= second) {
      series.push({ second: series.length, acknowledged: 0, refused: 0 });
    }
    const counts = series[second];
    if (counts !== undefined) counts[isAcknowledged(attempt) ? "acknowledged" : "refused"]++;
  }
  return series;
}

function quantiles(values: readonly number[]): { p50: number; p95: number; p99: number } {
  const sorted = values.toSorted((one, two) => one - two);
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

function summaryOf(result: DrainResult): string {
  const { outage, drain, answers, series, databaseBackAt } = result;
  const refused = Object.entries(answers).filter(([word]) => !word.startsWith("2"));
  const lines = [
    `${result.deliveries} deliveries from ${result.senders} senders, retries ×${result.compression} faster than Svix's`,
    `outage    ${outage.seconds} s, ${outage.attempts} attempts, all refused`,
    `drain     ${drain.seconds} s, ${drain.attempts} attempts, first 2xx after ${drain.firstAfterSeconds} s, ${drain.deliveriesPerSecond} deliveries/s`,
    `latency   p50 ${drain.milliseconds.p50} ms, p95 ${drain.milliseconds.p95} ms, p99 ${drain.milliseconds.p99} ms`,
    `refused   ${refused.map(([word, count]) => `${word} ×${count}`).join(", ") || "none"}`,
    `since the database is back: ${
      Object.entries(result.unavailableBecause).map(([code, count]) => `${code} ×${count}`)
        .join(", ") || "never unavailable"
    }`,
    `attempts  at most ${result.mostAttemptsForOne} for one delivery, ${result.givenUp} given up`,
    `deadlocks ${result.deadlocks}, retried by the function ${result.retriesInFunction}`,
    `acknowledged ${result.acknowledged}, kept ${result.kept}, lost ${result.lost}, rows ${
      result.equalsModel ? "equal" : "DIFFER from"
    } the model's, announced twice ${result.announcedTwice}`,
    "",
    "second  acknowledged  refused",
    ...series.filter(({ second }) => second >= databaseBackAt).map((each) =>
      `${String(each.second).padStart(6)}  ${String(each.acknowledged).padStart(12)}  ${
        String(each.refused).padStart(7)
      }`
    ),
  ];
  return lines.join("\n");
}

if (import.meta.main) {
  await runCommand(async () => {
    const { values } = parseArgs({
      options: {
        deliveries: { type: "string", default: "20000" },
        senders: { type: "string", default: "64" },
        compression: { type: "string", default: "600" },
        seed: { type: "string", default: "1" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      return 0;
    }
    const result = await measureDrain({
      deliveries: atLeastOne("deliveries", values.deliveries),
      senders: atLeastOne("senders", values.senders),
      compression: atLeastOne("compression", values.compression),
      seed: atLeastOne("seed", values.seed),
      onProgress: (text) => console.error(text),
    });
    console.log(values.json ? JSON.stringify(result, null, 2) : summaryOf(result));
    return result.lost === 0 && result.equalsModel ? 0 : 1;
  });
}
