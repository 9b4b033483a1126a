import { z } from "zod";
import { Progress } from "../../cli/progress.ts";
import { atLeastOne, flags, runCommand, UsageError } from "../../cli/usage.ts";
import type { JsonObject } from "../../local/clerk/events.ts";
import { aSeed } from "../random.ts";
import { withTestDatabase } from "../test_database.ts";
import { converge, Violation } from "./convergence.ts";
import { describe, PAGE_KINDS, type Plan } from "../clerk/plan.ts";
import { type CounterExample, type Proof, proveConvergence, TRIES } from "./prove_convergence.ts";
import { Stage } from "./stage.ts";

const HELP =
  `Checks that any order of Clerk's events ends in the same rows, on databases of its own.

  deno task prove
  deno task prove --worlds 10000 --seed 7
  deno task prove --seed 7 --path 12:3:0
  deno task prove --replay .local/counter_example.json

  --worlds N        how many worlds are played (2000)
  --seed N          which worlds; random unless given, and printed
  --path PATH       repeats the counter-example that was found at this path with this seed
  --replay FILE     repeats a saved counter-example, ${TRIES.again} times if it is a race
  --databases N     how many worlds are played at once (2)
  --keep-going      counts the worlds that fail, without shrinking them
  --save FILE       where a counter-example is saved (.local/counter_example.json)
`;

interface Request {
  readonly worlds: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly replay: string | undefined;
  readonly databases: number;
  readonly keepGoing: boolean;
  readonly save: string;
}

const AnyFate = z.enum(["kept", "slow", "refused", "cut"]);

const Arrival = z.union([
  z.object({ message: z.string(), fate: AnyFate }),
  z.object({ page: z.string(), fate: AnyFate }),
  z.object({ opens: z.string(), within: z.string().exactOptional(), issuedAt: z.int() }),
]);

/** NOTE: not z.json(), which overflows the stack on deep metadata. */
const AnyEvent = z.custom<JsonObject>((event) => typeof event === "object" && event !== null);

const SavedPage = z.object({
  id: z.string(),
  kind: z.enum(PAGE_KINDS),
  observedAt: z.int(),
  objects: z.array(AnyEvent),
});

/** A counter-example as it is saved. */
const SavedPlan = z.object({
  connections: z.int().min(1).max(8),
  messages: z.array(z.object({ id: z.string(), event: AnyEvent })),
  pages: z.array(SavedPage),
  listing: z.array(SavedPage),
  inOrder: z.array(Arrival),
  inDisorder: z.array(Arrival),
});

if (import.meta.main) await runCommand(prove, HELP);

/** Runs the command; the exit code is 1 when a world fails. */
async function prove(args: readonly string[]): Promise<number> {
  const request = parse(args);
  return request.replay === undefined
    ? await proveWorlds(request)
    : await replay(request.replay, await savedPlan(request.replay));
}

async function proveWorlds(request: Request): Promise<number> {
  const { seed, worlds, path, keepGoing } = request;
  const databases = path === undefined ? Math.min(request.databases, worlds) : 1;
  const started = performance.now();
  const progress = new Progress("worlds", worlds);
  const controller = new AbortController();
  console.log(`Seed ${seed}, ${path === undefined ? `${worlds} worlds` : `path ${path}`}`);

  /** Every database plays other worlds. */
  const playOn = async (stage: Stage, number: number): Promise<Proof> => {
    const proof = await proveConvergence(stage, {
      seed: seed + number,
      worlds: Math.floor((worlds + number) / databases),
      ...(path === undefined ? {} : { path }),
      keepGoing,
      onWorld: () => progress.step(),
      onViolation: () => controller.abort(),
      signal: controller.signal,
    });
    progress.end();
    if (proof.counterExample !== undefined) {
      await show(proof.counterExample, seed + number, request.save);
    }
    return proof;
  };
  const proofs = await Promise.all(
    Array.from({ length: databases }, (_, number) => onStage((stage) => playOn(stage, number))),
  );

  progress.end();
  return summarize(proofs, (performance.now() - started) / 1000);
}

function summarize(proofs: readonly Proof[], seconds: number): number {
  const sum = (number: (proof: Proof) => number): string =>
    proofs.map(number).reduce((one, other) => one + other, 0).toLocaleString("en");
  const violations: Record<string, number> = {};
  for (const proof of proofs) {
    for (const [property, worlds] of Object.entries(proof.violations)) {
      violations[property] = (violations[property] ?? 0) + worlds;
    }
  }
  const failures = Object.entries(violations).map(([property, worlds]) => `${property} ${worlds}`);

  console.log(
    `${sum((proof) => proof.worlds)} worlds, ${sum((proof) => proof.messages)} events, ${
      sum((proof) => proof.attempts)
    } deliveries, ${sum((proof) => proof.collisions)} collisions, ${Math.round(seconds)} s`,
  );
  console.log(`Failures: ${failures.length === 0 ? "0" : failures.join(", ")}`);
  return failures.length === 0 ? 0 : 1;
}

async function show(
  { plan, report, path }: CounterExample,
  seed: number,
  file: string,
): Promise<void> {
  const folder = file.replace(/[^/]*$/, "");
  if (folder !== "") await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(file, `${JSON.stringify(plan, null, 2)}\n`);

  console.log(`\n${report}\n`);
  console.log(`Again:  deno task prove --replay ${file}`);
  console.log(`   or:  deno task prove --seed ${seed} --path ${path}\n`);
}

async function replay(file: string, plan: Plan): Promise<number> {
  console.log(describe(plan));
  const violation = await onStage((stage) =>
    converge(stage, plan, TRIES.again).then(() => undefined, (error) => {
      if (error instanceof Violation) return error;
      throw error;
    })
  );
  if (violation !== undefined) console.log(`\n${violation.message}`);
  console.log(`\n${file} ${violation === undefined ? "converges" : "does not converge"}`);
  return violation === undefined ? 0 : 1;
}

/** Runs something on a stage with a database of its own. */
async function onStage<Result>(act: (stage: Stage) => Promise<Result>): Promise<Result> {
  const results: Result[] = [];
  await withTestDatabase((database) =>
    Stage.with(database, async (stage) => {
      results.push(await act(stage));
    })
  );
  const [result] = results;
  return result as Result;
}

async function savedPlan(file: string): Promise<Plan> {
  const text = await Deno.readTextFile(file).catch(() => {
    throw new UsageError(`Cannot replay ${file} as it cannot be read`);
  });
  try {
    return SavedPlan.parse(JSON.parse(text));
  } catch {
    throw new UsageError(`Cannot replay ${file} as it is no counter-example that was saved`);
  }
}

function parse(args: readonly string[]): Request {
  const { values } = flags(args, {
    worlds: { type: "string", default: "2000" },
    seed: { type: "string", default: String(aSeed()) },
    path: { type: "string" },
    replay: { type: "string" },
    databases: { type: "string", default: "2" },
    "keep-going": { type: "boolean", default: false },
    save: { type: "string", default: ".local/counter_example.json" },
  });
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed)) {
    throw new UsageError(`Cannot use --seed ${values.seed} as it is no whole number`);
  }
  return {
    worlds: atLeastOne("worlds", values.worlds),
    seed,
    path: values.path,
    replay: values.replay,
    databases: atLeastOne("databases", values.databases),
    keepGoing: values["keep-going"],
    save: values.save,
  };
}
