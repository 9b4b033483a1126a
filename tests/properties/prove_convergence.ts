import fc from "fast-check";
import { planOf } from "../clerk/clerk.ts";
import { converge, type Property, Violation } from "./convergence.ts";
import { describe, type Plan } from "../clerk/plan.ts";
import type { Stage } from "./stage.ts";
import { worldOf } from "../clerk/world.ts";

export interface ProofOptions {
  readonly seed: number;
  readonly worlds: number;
  /** How many things happen in a world, at most; 60 by default. */
  readonly maxHappenings?: number;
  /** The path of a counter-example that was found with this seed. */
  readonly path?: string;
  /** Continues after a violation and counts them, without shrinking. */
  readonly keepGoing?: boolean;
  /** How long a counter-example is shrunk, at most, ms. */
  readonly patience?: number;
  readonly onWorld?: () => void;
  /** Called before the first violation is shrunk. */
  readonly onViolation?: () => void;
  /** Ends the proof between two worlds. */
  readonly signal?: AbortSignal;
}

/** What was played, and what was found. */
export interface Proof {
  readonly worlds: number;
  readonly messages: number;
  readonly attempts: number;
  readonly collisions: number;
  /** How many worlds violated each property, by the first one that each violated. */
  readonly violations: Readonly<Record<string, number>>;
  readonly counterExample?: CounterExample;
}

/** The smallest plan that was found to violate a property. */
export interface CounterExample {
  readonly plan: Plan;
  readonly property: Property;
  /** In readable form: what does not hold, what was sent, and what arrived in which order. */
  readonly report: string;
  readonly path: string;
}

/**
 * How often a plan with several connections is delivered before it counts as passing, because a race
 * does not happen every time: while a counter-example is shrunk, and when one is repeated.
 */
export const TRIES = { shrinking: 12, again: 100 };

/** Plays one world after another on a stage until one violates a property, and shrinks that one. */
export async function proveConvergence(
  stage: Stage,
  {
    seed,
    worlds,
    maxHappenings,
    path,
    keepGoing = false,
    patience = 120_000,
    onWorld,
    onViolation,
    signal,
  }: ProofOptions,
): Promise<Proof> {
  const tried = { worlds: 0, messages: 0, attempts: 0, collisions: 0 };
  const violations: Record<string, number> = {};
  let shrinkingSince: number | undefined;

  const property = fc.asyncProperty(worldOf(maxHappenings), async (world) => {
    const plan = planOf(world);
    if (shrinkingSince !== undefined) {
      // If the rest pass, the shrinking ends with the smallest one so far.
      if (performance.now() - shrinkingSince > patience) return;
      await converge(stage, plan, TRIES.shrinking);
      return;
    }
    if (signal?.aborted) return;

    tried.worlds++;
    tried.messages += plan.messages.length;
    try {
      const { attempts, collisions } = await converge(
        stage,
        plan,
        path === undefined ? 1 : TRIES.again,
      );
      tried.attempts += attempts;
      tried.collisions += collisions;
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      violations[error.property] = (violations[error.property] ?? 0) + 1;
      // Another database is already shrinking.
      if (keepGoing || signal?.aborted) return;
      onViolation?.();
      shrinkingSince = performance.now();
      throw error;
    } finally {
      onWorld?.();
    }
  });

  const details = await fc.check(property, {
    seed,
    numRuns: worlds,
    ...(path === undefined ? {} : { path }),
  });
  const { failed, counterexample, counterexamplePath, errorInstance: violation } = details;
  if (!failed || counterexample === null) return { ...tried, violations };
  if (!(violation instanceof Violation)) throw violation;
  const plan = planOf(counterexample[0]);
  return {
    ...tried,
    violations,
    counterExample: {
      plan,
      property: violation.property,
      report: `${violation.message}\n\n${describe(plan)}`,
      path: counterexamplePath ?? "",
    },
  };
}
