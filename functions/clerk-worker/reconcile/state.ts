import { z } from "zod";
import { Cursor, FIRST } from "./pages.ts";
import { type Kind, KINDS } from "./kinds.ts";
import { Surplus } from "./snapshots.ts";

const Count = z.number().default(0);

/** What happened to the objects of one kind. */
const Tally = z.object({
  /** How many there are by Clerk's own count; null when that is unknown. */
  total: z.number().nullable().default(null),
  /** Listed by Clerk. */
  listed: Count,
  /** Not here before. */
  missing: Count,
  /** Here, but older. */
  outdated: Count,
  unchanged: Count,
  /** Something newer is here already. */
  stale: Count,
  /** Deleted here, which is final. */
  gone: Count,
  /** Not of the shape that this version knows. */
  unreadable: Count,
  /** Refused by a trigger or a constraint of the application. */
  refused: Count,
  /** Here, and not listed by Clerk. */
  surplus: Count,
  /** How many of these may be deleted. */
  limit: Count,
  /** Surplus, but Clerk still has it. */
  kept: Count,
  deleted: Count,
});
export type Tally = z.infer<typeof Tally>;

/** An object that was skipped. Never a value of it, except its id. */
const Problem = z.object({
  kind: z.string(),
  id: z.string().nullable(),
  /** An SQLSTATE, or the code of what is wrong at `path`. */
  code: z.string(),
  path: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

const kinds = Object.keys(KINDS) as Kind[];

/** Each with an object of its own, because they are counted up. */
function emptyTallies(): Record<Kind, Tally> {
  return Object.fromEntries(kinds.map((kind) => [kind, Tally.parse({})])) as Record<Kind, Tally>;
}

/** Where a run is, and what it has found; saved after every page. */
export const State = z.object({
  /** How many steps are done. */
  step: Count,
  /** Within a step that lists objects. */
  cursor: Cursor.default(FIRST),
  /** Within a step that deletes objects: the last id. */
  after: z.string().default(""),
  tallies: z.record(z.enum(kinds), Tally).default(emptyTallies),
  /** The first ones. */
  problems: z.array(Problem).default(() => []),
  /** Objects of each kind that Clerk listed last. */
  witnesses: z.record(z.string(), z.array(Surplus)).default(() => ({})),
  /** Why nothing is deleted: a sentence. */
  halted: z.string().nullable().default(null),
});
export type State = z.infer<typeof State>;

/** Problems that are kept. */
export const MOST_PROBLEMS = 100;
