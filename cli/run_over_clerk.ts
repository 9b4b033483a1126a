import { required } from "../functions/_shared/clerk_sync/configuration.ts";
import { type ClerkApiOptions, clerkFrom } from "../functions/clerk-worker/reconcile/clerk_api.ts";
import type { News } from "../functions/clerk-worker/reconcile/engine.ts";
import { KINDS } from "../functions/clerk-worker/reconcile/kinds.ts";
import {
  createSnapshots,
  type Options,
  type Run,
  type Snapshots,
} from "../functions/clerk-worker/reconcile/snapshots.ts";
import type { State, Tally } from "../functions/clerk-worker/reconcile/state.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import { type RunKind, runOver } from "../operations/run_over.ts";
import { sentenceOf } from "../operations/sentence.ts";
import { fold, terminalWidth } from "./fold.ts";
import { RateProgress } from "./progress.ts";
import { connectProject } from "./project.ts";
import { atLeastOne, firstSignal, flags, taskCommand, UsageError } from "./usage.ts";

interface Flags {
  readonly options: Options;
  readonly restart: boolean;
  readonly json: boolean;
  readonly envFile: string | undefined;
}

/**
 * Runs a backfill or a reconcile from the command line.
 *
 * @returns the exit code: 0 done, 1 stopped, 3 the tables differ from Clerk
 */
export async function runOverClerk(kind: RunKind, args: readonly string[]): Promise<number> {
  const given = parse(kind, args);
  const again = args.filter((arg) => arg !== "--restart");
  const command = taskCommand([kind, ...again].join(" "), undefined);
  const stopping = new AbortController();
  firstSignal("ends").then(() => stopping.abort());
  const stop = stopping.signal;
  const screen = new Screen(kind, given);
  let run: Run | undefined;

  try {
    const ended = await runOver(kind, {
      ...await configure(given.envFile),
      ...given,
      command,
      stop,
      onWait: (why, milliseconds) => screen.wait(why, milliseconds),
      onBegin: (begun) => run = begun,
      report: (news) => screen.show(news),
    });
    screen.summarize(ended.run, ended.state, ended.exit !== 1);
    if (ended.exit === 1) console.error(`Stopped. Go on with \`${command}\``);
    return ended.exit;
  } catch (error) {
    screen.clear();
    if (stop.aborted) {
      console.error("Stopped before anything was done");
      return 1;
    }
    const sentence = sentenceOf(error, run === undefined);
    throw new StartError(run === undefined ? sentence : `${sentence}. Go on with \`${command}\``);
  }
}

function parse(kind: RunKind, args: readonly string[]): Flags {
  const { env, json, restart, quiet, "dry-run": dry_run, "max-deletes": maxDeletes } = flags(args, {
    "dry-run": { type: "boolean", default: false },
    "max-deletes": { type: "string" },
    quiet: { type: "boolean", default: false },
    restart: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    env: { type: "string" },
  }).values;
  if (maxDeletes !== undefined && kind === "backfill") {
    throw new UsageError("Cannot use --max-deletes with backfill: it deletes nothing");
  }
  return {
    options: {
      dry_run,
      quiet,
      ...(maxDeletes === undefined ? {} : { max_deletes: atLeastOne("max-deletes", maxDeletes) }),
    },
    restart,
    json,
    envFile: env,
  };
}

async function configure(
  envFile: string | undefined,
): Promise<{ clerk: Pick<ClerkApiOptions, "secretKey" | "apiUrl">; snapshots: Snapshots }> {
  const read = await readVariables(envFile);
  const snapshots = createSnapshots(connectProject(read));
  const secretKey = required(
    "CLERK_SECRET_KEY",
    read,
    "copy it (sk_live_… or sk_test_…) from API keys in the Clerk dashboard into the environment, or into the file of --env",
  );
  return { clerk: { secretKey, ...clerkFrom(read) }, snapshots };
}

/** What the command writes: results to standard output, all else to standard error. */
class Screen {
  readonly #kind: RunKind;
  readonly #flags: Flags;
  readonly #progress = new RateProgress();
  #last: readonly [string, number, number | null] = ["", 0, null];

  constructor(kind: RunKind, flags: Flags) {
    this.#kind = kind;
    this.#flags = flags;
  }

  show(news: News): void {
    switch (news.type) {
      case "progress": {
        const { listed, total } = news.tally;
        this.#last = [news.kind, listed, total];
        return this.#progress.update(...this.#last);
      }
      case "drift": {
        // A backfill finds nearly everything missing.
        if (this.#kind === "backfill" && !this.#flags.options.dry_run) return;
        const { drift, kind, id } = news;
        return this.#print({ drift, kind, id }, `${drift.padEnd(9)} ${kind.padEnd(12)} ${id}`);
      }
      case "problem": {
        const { type: _, ...problem } = news;
        const where = problem.path ? ` at ${problem.path}` : "";
        const { kind, id, code } = problem;
        return this.#print(
          { problem },
          `${"skipped".padEnd(9)} ${kind.padEnd(12)} ${id ?? "(no id)"}: ${code}${where}`,
        );
      }
      default:
        return news satisfies never;
    }
  }

  wait(why: string, milliseconds: number): void {
    const seconds = Math.ceil(milliseconds / 1000);
    this.#progress.update(...this.#last, `waiting ${seconds} s, as ${why}`);
  }

  clear(): void {
    this.#progress.clear();
  }

  summarize(run: Run, state: State, isFinished: boolean): void {
    const { dry_run } = this.#flags.options;
    const { tallies, halted, problems } = state;
    const summary = {
      run: run.id,
      kind: this.#kind,
      dry_run,
      is_finished: isFinished,
      halted,
      tallies,
      problems,
    };
    const lines = tableOf(tallies);
    if (halted !== null) lines.push("", ...fold(halted, 0, terminalWidth()));
    if (dry_run) lines.push("", "Dry run: nothing was written");
    else if (isFinished && this.#kind === "backfill") {
      const skipped = Object.values(tallies).reduce(
        (sum, { unreadable, refused }) => sum + unreadable + refused,
        0,
      );
      const done = skipped === 0 ? "Done." : `Done, but ${skipped} were skipped, as listed above.`;
      lines.push("", `${done} Next:`, `  ${taskCommand("doctor", this.#flags.envFile)}`);
    }
    this.#print({ summary }, lines.join("\n"));
  }

  #print(json: unknown, text: string): void {
    this.#progress.clear();
    console.log(this.#flags.json ? JSON.stringify(json) : text);
  }
}

/** A row for each count: the first four always, the others unless they are 0 for every kind. */
export function tableOf(tallies: State["tallies"]): string[] {
  const always: (keyof Tally)[] = ["listed", "missing", "outdated", "unchanged"];
  const others: (keyof Tally)[] = [
    "stale",
    "gone",
    "unreadable",
    "refused",
    "surplus",
    "kept",
    "deleted",
  ];
  const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];
  const counts = [...always, ...others.filter((each) => kinds.some((kind) => tallies[kind][each]))];
  // Numbers of seven digits fit into 80 columns.
  const row = (name: string, cells: readonly (string | number | null)[]): string =>
    name.padEnd(10) +
    kinds.map((kind, at) => String(cells[at]).padStart(Math.max(kind.length, 7) + 2)).join("");
  return [
    row("", kinds),
    ...counts.map((count) => row(count, kinds.map((kind) => tallies[kind][count]))),
  ];
}
