import { type GreenRuns, Lane } from "./lane.ts";
import type { Mutation } from "./mutation.ts";
import { MUTATIONS } from "./mutations/mod.ts";
import type { Verdict } from "./verdict.ts";
import { startTestServer } from "../test_server.ts";
import { flags, runCommand, UsageError } from "../../cli/usage.ts";

const HELP = `Breaks each promise on purpose, one guard at a time, and requires the tests to notice.

  deno task guards                  tries every mutation of tests/guards/mutations
  deno task guards --only I5        those of one invariant
  deno task guards --only 3,17      those of these numbers
  deno task guards --list           lists them, and tries none
`;

/** How many are tried at once. */
const LANES = 2;

interface Numbered extends Mutation {
  readonly number: number;
}

const ALL: readonly Numbered[] = MUTATIONS.map((mutation, index) => ({
  ...mutation,
  number: index + 1,
}));

if (import.meta.main) await runCommand(guards, HELP);

/** @returns 0 when every mutation was caught, else 1 */
async function guards(args: readonly string[]): Promise<number> {
  const { list, chosen } = parse(args);
  if (list) {
    for (const mutation of chosen) console.log(`${headOf(mutation)}  ${mutation.file}`);
    return 0;
  }

  const counts = await tryAll(chosen);
  console.log(
    `\n${counts.caught} caught, ${counts.survived} survived` +
      (counts.invalid === 0 ? "" : `, ${counts.invalid} invalid`),
  );
  return counts.caught === chosen.length ? 0 : 1;
}

function parse(args: readonly string[]): { list: boolean; chosen: readonly Numbered[] } {
  const { only, list } = flags(args, {
    only: { type: "string" },
    list: { type: "boolean", default: false },
  }).values;
  const words = only?.split(",").map((word) => word.trim().toUpperCase());
  const isChosen = ({ invariant, number }: Numbered): boolean =>
    words === undefined || words.includes(invariant) || words.includes(String(number));
  const chosen = ALL.filter(isChosen);
  if (chosen.length === 0) {
    throw new UsageError(`Cannot find a mutation ${only}: see --list`);
  }
  return { list, chosen };
}

async function tryAll(
  mutations: readonly Numbered[],
): Promise<Record<Verdict["kind"], number>> {
  const counts = { caught: 0, survived: 0, invalid: 0 };
  const greenRuns: GreenRuns = new Map();
  const waiting = [...mutations];
  await using server = await startTestServer();

  await Promise.all(Array.from({ length: LANES }, async () => {
    await using lane = await Lane.open(server, greenRuns);
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const started = performance.now();
      const verdict = await tryOne(lane, next);
      counts[verdict.kind]++;
      const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5);
      console.log(`${headOf(next)}  ${seconds} s  ${tailOf(verdict)}`);
    }
  }));
  return counts;
}

/** A mutation that cannot be tried is invalid, and does not stop the others. */
async function tryOne(lane: Lane, mutation: Mutation): Promise<Verdict> {
  try {
    return await lane.try(mutation);
  } catch (error) {
    return { kind: "invalid", why: error instanceof Error ? error.message : String(error) };
  }
}

function headOf({ number, invariant, what }: Numbered): string {
  return `${String(number).padStart(3)}  ${invariant.padEnd(5)}  ${what.padEnd(72)}`;
}

function tailOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case "caught":
      return `caught: ${verdict.red[0]}${
        verdict.red.length > 1 ? ` and ${verdict.red.length - 1} more` : ""
      }`;
    case "survived":
      return "SURVIVED";
    case "invalid":
      return `INVALID: ${verdict.why}`;
    default:
      return verdict satisfies never;
  }
}
