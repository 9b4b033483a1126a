import { ConfigurationError } from "../functions/_shared/clerk_sync/configuration.ts";
import { QueueError } from "../functions/clerk-worker/drain/queue.ts";
import { readVariables } from "../local/env_file.ts";
import { StartError } from "../local/start_error.ts";
import {
  type Answer,
  type Filter,
  type Message,
  MOST_COUNTED,
  reasonFor,
  replayAll,
  type Verdict,
  verdictOf,
  WAITING_OUTCOMES,
} from "../operations/replay.ts";
import { fold, terminalWidth } from "./fold.ts";
import { RateProgress } from "./progress.ts";
import { connectProject, databaseSentence } from "./project.ts";
import { firstSignal, flags, runCommand, taskCommand, UsageError } from "./usage.ts";

const HELP =
  `Applies failed and unreadable messages of the inbox again, oldest first, and says of each whether it is
fixed or still failing, and why. Not counted as a delivery; a settled message stays as it is.

  deno task replay                        all that are failed or unreadable
  deno task replay msg_2x…                this message, or several
  deno task replay --outcome failed --type user.updated --since 3d
  deno task replay --object user_2x… --dry-run
  deno task replay msg_2x… --discard      gives it up: erases its payload, and status no longer counts it

  --outcome O     failed or unreadable only
  --type T        messages of this type only
  --since TIME    received since then, as in 2026-11-01T08:00Z, 90m, 2h or 3d
  --until TIME    received before then
  --object ID     about this object only, or messages that mention this user
  --dry-run       does it and takes it back: writes nothing
  --discard       gives messages up instead; needs an id or one of the flags above
  --yes           with --discard on a terminal: does not ask first
  --json          prints JSON, one object per line, the summary last
  --env FILE      reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias

  SUPABASE_URL and SUPABASE_SECRET_KEY in the environment win over that file. Set both to work on any
  other project. An unreadable message is read again here, by the schemas of this version.

  Ctrl-C stops it after the messages at hand; run it again to go on. Exit codes: 0 all are fixed, 1 failed
  or stopped, 2 wrong usage, 3 some are still failing.
`;

interface Options {
  /** One for each message id, or one for all that match. */
  readonly filters: readonly Filter[];
  readonly dryRun: boolean;
  readonly discard: boolean;
  readonly yes: boolean;
  readonly json: boolean;
  readonly envFile: string | undefined;
}

async function replay(args: readonly string[]): Promise<number> {
  const options = parse(args);
  const stopping = new AbortController();
  firstSignal("ends").then(() => stopping.abort());
  const screen = new Screen(options);
  const goOn = `Go on with \`${taskCommand(["replay", ...args].join(" "), undefined)}\``;

  try {
    const supabase = connectProject(await readVariables(options.envFile));
    const isFinished = await replayAll(supabase, {
      ...options,
      stop: stopping.signal,
      onTotal: (total, { message_id }) => {
        if (message_id !== undefined && total === 0) {
          throw new StartError(
            `Cannot replay ${message_id} as the inbox has no such message: check the id, or resend it from Clerk's dashboard`,
          );
        }
        screen.expect(total);
        if (!isAgreed(options, total ?? 0)) throw new StartError("Nothing was discarded");
      },
      onAnswer: (message, answer) => screen.show(message, answer),
    });
    screen.summarize(isFinished);
    if (!isFinished) console.error(`Stopped. ${goOn}`);
    return !isFinished ? 1 : screen.counts.still_failing > 0 ? 3 : 0;
  } catch (error) {
    screen.clear();
    if (error instanceof ConfigurationError) throw new StartError(error.message);
    if (!(error instanceof QueueError)) throw error;
    const sentence = databaseSentence(error.message, !screen.hasBegun);
    throw new StartError(screen.hasBegun ? `${sentence}. ${goOn}` : sentence);
  }
}

/** Asks on a terminal whether so many messages may be given up. */
export function isAgreed(
  { discard, dryRun, yes }: Pick<Options, "discard" | "dryRun" | "yes">,
  total: number,
  { isTerminal = Deno.stdin.isTerminal(), ask = confirm } = {},
): boolean {
  if (!discard || dryRun || yes || total === 0 || !isTerminal) return true;
  const what = total === 1
    ? "1 message"
    : `${total === MOST_COUNTED ? "more than " : ""}${total} messages`;
  return ask(`Give up ${what} and erase what was sent?`);
}

/** What the command prints. */
class Screen {
  readonly counts: Record<Verdict, number> = {
    fixed: 0,
    still_failing: 0,
    settled: 0,
    discarded: 0,
  };
  hasBegun = false;
  readonly #options: Options;
  readonly #progress = new RateProgress();
  #done = 0;
  #total: number | null = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Tells how many messages are to come; null or {@link MOST_COUNTED} when that is not known. */
  expect(total: number | null): void {
    this.hasBegun = true;
    const isKnown = total !== null && total < MOST_COUNTED && this.#total !== null;
    this.#total = isKnown ? (this.#total ?? 0) + total : null;
  }

  show({ outcome: was, message_id, type, object_id }: Message, answer: Answer): void {
    const result = verdictOf(answer);
    const reason = {
      fixed: answer.outcome,
      still_failing: reasonFor(answer),
      settled: was,
      discarded: was,
    }[result];
    this.counts[result]++;
    this.#print(
      { message_id, type, object_id, was, result, ...answer },
      lineOf(result, { message_id, type, object_id }, reason, terminalWidth()),
    );
    this.#progress.update("messages", ++this.#done, this.#total);
  }

  clear(): void {
    this.#progress.clear();
  }

  summarize(isFinished: boolean): void {
    const { dryRun, discard } = this.#options;
    const shown: readonly Verdict[] = discard ? ["discarded"] : ["fixed", "still_failing"];
    const figures = [...shown, ...(this.counts.settled > 0 ? ["settled"] as const : [])]
      .map((verdict) => `${this.counts[verdict]} ${wordsOf(verdict)}`);
    this.#print(
      { summary: { dry_run: dryRun, is_finished: isFinished, ...this.counts } },
      [figures.join(", "), ...(dryRun ? ["Dry run: nothing was written"] : [])].join("\n"),
    );
  }

  #print(json: unknown, text: string): void {
    this.#progress.clear();
    console.log(this.#options.json ? JSON.stringify(json) : text);
  }
}

/** What became of a message, folded at a width between ids and words. */
export function lineOf(
  result: Verdict,
  { message_id, type, object_id }: Pick<Message, "message_id" | "type" | "object_id">,
  reason: string | undefined,
  width: number,
): string {
  const text = `${wordsOf(result).padEnd(15)} ${message_id}  ${type ?? "-"}  ${
    object_id ?? "-"
  }  ${reason}`;
  return fold(text, 16, width).join("\n");
}

function wordsOf(verdict: Verdict): string {
  if (verdict === "settled") return "settled already";
  return verdict.replace("_", " ");
}

function parse(args: readonly string[]): Options {
  const { values, positionals: ids } = flags(args, {
    outcome: { type: "string" },
    type: { type: "string" },
    since: { type: "string" },
    until: { type: "string" },
    object: { type: "string" },
    "dry-run": { type: "boolean", default: false },
    discard: { type: "boolean", default: false },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    env: { type: "string" },
  }, { allowPositionals: true });
  const { outcome, type, since, until, object, discard } = values;

  const narrowing = Object.entries({ outcome, type, since, until, object })
    .flatMap(([flag, value]) => value === undefined ? [] : [`--${flag}`]);
  if (ids.length > 0 && narrowing.length > 0) {
    throw new UsageError(`Cannot combine ${ids[0]} with ${narrowing[0]}: give ids, or flags`);
  }
  if (ids.some((id) => id.trim() === "")) {
    throw new UsageError(
      'Cannot replay "": give the id of a message, as in `replay msg_2x…`, or no id to replay all',
    );
  }
  if (discard && ids.length + narrowing.length === 0) {
    throw new UsageError(
      "Cannot discard every message: give an id, or choose with --outcome, --type, --since, --until or --object",
    );
  }
  if (values.yes && !discard) throw new UsageError("Cannot use --yes without --discard");
  if (outcome !== undefined && !WAITING_OUTCOMES.includes(outcome)) {
    throw new UsageError(`Cannot use --outcome ${outcome}: it must be failed or unreadable`);
  }
  if (object !== undefined && !/^[a-z_]+_[A-Za-z0-9]+$/.test(object)) {
    throw new UsageError(
      `Cannot use --object ${object}: Clerk's ids look like user_2x… or org_2x…`,
    );
  }

  const all = {
    outcomes: outcome === undefined ? WAITING_OUTCOMES : [outcome],
    ...(type === undefined ? {} : { type }),
    ...(since === undefined ? {} : { since: timeOf("since", since) }),
    ...(until === undefined ? {} : { until: timeOf("until", until) }),
    ...(object === undefined ? {} : { object_id: object }),
  };
  return {
    filters: ids.length === 0 ? [all] : ids.map((message_id) => ({ message_id, outcomes: null })),
    dryRun: values["dry-run"],
    discard,
    yes: values.yes,
    json: values.json,
    envFile: values.env,
  };
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as ISO text, from ISO text (UTC unless it says otherwise) or from how long ago it was. */
function timeOf(flag: string, text: string): string {
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const isTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/;
  const isZoned = /(?:Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes("T");
  const time = count !== undefined
    ? Math.max(0, Date.now() - Number(count) * (UNITS[unit] ?? 0))
    : isTime.test(text)
    ? Date.parse(isZoned ? text : `${text}Z`)
    : NaN;
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new UsageError(
    `Cannot use --${flag} ${text}: it must be a time as in 2026-11-01T08:00Z, 90m, 2h or 3d`,
  );
}

if (import.meta.main) await runCommand(replay, HELP);
