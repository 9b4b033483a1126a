import { assertEquals } from "@std/assert";
import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import {
  expectedInbox,
  expectedlyGone,
  expectedRights,
  expectedRows,
  perhapsOrganizations,
  type Rows,
  type RowsById,
} from "../clerk/model.ts";
import { markOfInvitation, marksOf, type Message, parseRows, type Plan } from "../clerk/plan.ts";
import type { Announcement, Change, Run, Sight, Stage } from "./stage.ts";

/** What must hold for every world. */
export type Property =
  /** Delivered in the order of sending, the rows, and what each person may do, equal the model's. */
  | "model"
  /** Delivered in any other order, the rows are the same, byte by byte. */
  | "order"
  /** Nothing about a deleted person is left in any table. */
  | "erasure"
  /** Every change is announced once, and nothing else is announced. */
  | "announcements"
  /**
   * Every message is kept once, with all its deliveries counted, and with its payload unless it must
   * not be kept. None stays failed. A message stays unreadable only if nothing can make it readable.
   */
  | "inbox"
  /** Only errors that are worth another attempt are raised. */
  | "errors";

/** A property that does not hold for a plan. */
export class Violation extends Error {
  override name = "Violation";
  readonly property: Property;

  constructor(property: Property, message: string, options?: ErrorOptions) {
    super(`${property}: ${message}`, options);
    this.property = property;
  }
}

/** The work that a plan took. */
export interface Effort {
  readonly attempts: number;
  readonly collisions: number;
}

/**
 * Delivers a plan in order and in disorder, and compares.
 *
 * @param tries how often to deliver in disorder: a race need not happen each time
 * @throws {Violation} when a property does not hold
 */
export async function converge(stage: Stage, plan: Plan, tries = 1): Promise<Effort> {
  const messages = new Map(plan.messages.map((message) => [message.id, message]));
  const visits = plan.inOrder.flatMap((each) => "opens" in each ? [each] : []);
  const excepted = perhapsOrganizations(plan.messages, visits);
  const rows = expectedRows(plan.messages, visits);
  const expected = { ...rows, rights: expectedRights(plan.messages, rows) };
  const effort = { attempts: 0, collisions: 0 };
  const play = async (arrivals: Plan["inOrder"], connections: number): Promise<Sight> => {
    const { run, sight } = await deliver(stage, messages, arrivals, connections);
    effort.attempts += run.attempts;
    effort.collisions += run.collisions;
    return sight;
  };

  const inOrder = await play(plan.inOrder, 1);
  const rowsInOrder = comparable(inOrder, excepted);
  holds("model", () => assertSameRows(rowsInOrder, without(expected, excepted)));

  // Over one connection, every run is the same.
  for (let run = 0; run < (plan.connections === 1 ? 1 : tries); run++) {
    const inDisorder = await play(plan.inDisorder, plan.connections);
    holds("order", () => {
      assertSameRows(comparable(inDisorder, excepted), rowsInOrder);
      if (excepted.size === 0 && inDisorder.rows !== inOrder.rows) {
        throw new Error("The same rows, in another spelling");
      }
    });
  }
  return effort;
}

/** All rows, and what each person may do. */
type Outcome = Rows & { readonly rights: RowsById };

function comparable({ rows, rights }: Sight, excepted: ReadonlySet<string>): Outcome {
  return without({ ...parseRows(rows) as unknown as Rows, rights }, excepted);
}

/** Without the organizations whose rows depend on the order of arrival. */
function without(outcome: Outcome, excepted: ReadonlySet<string>): Outcome {
  if (excepted.size === 0) return outcome;
  const filtered = (rows: RowsById, idOf: (key: string) => string | undefined): RowsById =>
    Object.fromEntries(Object.entries(rows).filter(([key]) => !excepted.has(idOf(key) ?? "")));
  return {
    ...outcome,
    organizations: filtered(outcome.organizations, (id) => id),
    rights: filtered(outcome.rights, (key) => key.split(" ")[1]),
  };
}

/** Compares all rows, and shows only those that differ. */
function assertSameRows(actual: Outcome, expected: Outcome): void {
  const [found, wanted] = [rowsOf(actual), rowsOf(expected)];
  const differing = [...new Set([...found.keys(), ...wanted.keys()])]
    .filter((name) => !isDeepStrictEqual(found.get(name), wanted.get(name)));
  const pick = (rows: ReadonlyMap<string, Json>): Record<string, Json | undefined> =>
    Object.fromEntries(differing.map((name) => [name, rows.get(name)]));
  assertEquals(pick(found), pick(wanted));
}

function rowsOf(tables: Outcome): Map<string, Json> {
  return new Map(
    Object.entries(tables).flatMap(([table, rows]: [string, RowsById]) =>
      Object.entries(rows).map(([id, row]) => [`${table} ${id}`, row] as const)
    ),
  );
}

/** Delivers once, and checks every property that needs no other run. */
async function deliver(
  stage: Stage,
  messages: ReadonlyMap<string, Message>,
  arrivals: Plan["inOrder"],
  connections: number,
): Promise<{ run: Run; sight: Sight }> {
  await stage.reset();
  let run: Run;
  try {
    run = await stage.deliver(messages, arrivals, connections);
  } catch (error) {
    throw new Violation("errors", String(error), { cause: error });
  }
  const sight = await stage.look();
  const all = [...messages.values()];
  const found = await stage.search([...marksOfTheGone(all), NEVER_STORED]);

  holds("erasure", () => assertEquals([...run.leftovers, ...found], []));
  holds("announcements", () => assertAnnounced(sight));
  holds("inbox", () => assertKept(run, sight, all));
  return { run, sight };
}

/** The address of the client in every event. */
const NEVER_STORED = "192.0.2.7";

/** The marks of deleted people, and of invitations whose address must be forgotten. */
function marksOfTheGone(messages: readonly Message[]): string[] {
  const { users, invitations } = expectedlyGone(messages);
  return [...[...users].flatMap(marksOf), ...[...invitations].map(markOfInvitation)];
}

/** Columns whose changes are not announced: bookkeeping, and columns derived from another one. */
const NO_NEWS: ReadonlySet<string> = new Set([
  "id",
  "full_name",
  "updated_at",
  "last_active_at",
  "synced_at",
  "member_name",
  "member_image_url",
  "superseded",
]);

function assertAnnounced({ changes, announcements, rows }: Sight): void {
  // The announcements of an object are its changes, in order.
  const told = announcements.map(({ topic, id, changed }) => news(id, topic, changed));
  const happened = changes.flatMap(newsOf);
  assertEquals(groupById(told), groupById(happened));

  // No delivery announces an object twice.
  const causes = announcements.map(({ id, caused_by, via }) => `${caused_by ?? via} ${id}`);
  assertEquals(causes.filter((cause, at) => causes.indexOf(cause) !== at), []);

  // The last announcement of an object agrees with the rows, whatever a trigger saw.
  const { profiles, organizations, memberships } = JSON.parse(rows);
  const all: Record<string, JsonObject> = { ...profiles, ...organizations, ...memberships };
  const living = Object.entries(all).flatMap(([id, { gone }]) => gone === true ? [] : [id]);
  const last = new Map(announcements.map(({ id, topic }) => [id, topic]));
  const toldLiving = [...last].flatMap(([id, topic]) => topic.endsWith(".deleted") ? [] : [id]);
  assertEquals(toldLiving.sort(), living.sort());
}

interface News {
  readonly id: string;
  readonly text: string;
}

function news(id: string, topic: string, changed: Announcement["changed"]): News {
  return { id, text: `${topic}: ${[...changed].sort()}` };
}

/** What must be announced about a change. */
function newsOf({ kind, id, old, new: now }: Change): News[] {
  if (now === null) return kind === "membership" ? [news(id, "membership.deleted", [])] : [];

  const wasGone = (old?.deleted_at ?? null) !== null;
  const isGone = (now.deleted_at ?? null) !== null;
  if (wasGone && isGone) return [];

  const changed = Object.keys(now).filter((column) =>
    !NO_NEWS.has(column) &&
    JSON.stringify(now[column] ?? null) !== JSON.stringify(old?.[column] ?? null)
  );
  if (isGone) return [news(id, `${kind}.deleted`, changed)];
  if (old === null) return [news(id, `${kind}.created`, changed)];
  return changed.length === 0 ? [] : [news(id, `${kind}.updated`, changed)];
}

function groupById(all: readonly News[]): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const { id, text } of all) (groups[id] ??= []).push(text);
  return groups;
}

function assertKept(
  { answered, undone }: Run,
  { inbox }: Sight,
  messages: readonly Message[],
): void {
  const deliveries = Object.entries(inbox).map(([id, kept]) => [id, kept.deliveries]);
  assertEquals(Object.fromEntries(deliveries), Object.fromEntries(answered));

  const outcomes = Object.entries(inbox).flatMap(([id, { outcome }]) =>
    outcome === "failed" || outcome === "unreadable" ? [id] : []
  );
  assertEquals(outcomes.sort(), [...undone].sort());
  assertEquals(Object.values(inbox).filter(({ outcome }) => outcome === "failed"), []);

  const { unreadable, perhapsUnreadable, withPayload, withoutPayload } = expectedInbox(messages);
  const certainlyUndone = undone.filter((id) => !perhapsUnreadable.has(id));
  assertEquals(
    certainlyUndone.sort(),
    [...unreadable].sort(),
    "Unreadable, although it can be read",
  );
  const lost = [...withPayload].filter((id) => inbox[id]?.has_payload === false);
  assertEquals(lost, [], "Kept without the payload that a replay needs");
  const leaked = [...withoutPayload].filter((id) => inbox[id]?.has_payload === true);
  assertEquals(leaked, [], "Kept with a payload that must not be");
}

function holds(property: Property, assert: () => void): void {
  try {
    assert();
  } catch (error) {
    throw new Violation(property, (error as Error).message, { cause: error });
  }
}
