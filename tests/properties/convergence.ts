import { assertEquals } from "@std/assert";
import { isDeepStrictEqual } from "node:util";
import type { JsonObject } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import {
  expectedInbox,
  expectedlyGone,
  expectedRights,
  expectedRows,
  listedLast,
  observationsOf,
  perhapsOrganizations,
  type Rows,
  type RowsById,
  toldLater,
  VOLATILE,
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
  /**
   * Whatever was lost, a run of reconcile leaves Clerk's own state: the rows of what Clerk lists, and
   * no other person, organization or membership. Nothing about other people is left.
   */
  | "reconcile"
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
  const visits = plan.inOrder.flatMap((each) => "opens" in each ? [each] : []);
  const observations = [...plan.messages, ...plan.pages.flatMap(observationsOf)];
  const excepted: Excepted = {
    organizations: perhapsOrganizations(observations, visits),
    moving: listedLast(observations),
  };
  const rows = expectedRows(observations, visits);
  const expected = { ...rows, rights: expectedRights(observations, rows) };
  const effort = { attempts: 0, collisions: 0 };
  const play = async (arrivals: Plan["inOrder"], connections: number): Promise<Sight> => {
    const { run, sight } = await deliver(stage, plan, observations, arrivals, connections);
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
      const { organizations, moving } = excepted;
      if (organizations.size + moving.size === 0 && inDisorder.rows !== inOrder.rows) {
        throw new Error("The same rows, in another spelling");
      }
    });
    if (plan.listing.length > 0) await reconcile(stage, plan, observations);
  }
  return effort;
}

/** All rows, and what each person may do. */
type Outcome = Rows & { readonly rights: RowsById };

/** What may depend on the order of arrival. */
interface Excepted {
  /** Organizations whose rows may be there or not. */
  readonly organizations: ReadonlySet<string>;
  /**
   * People and organizations whose times and counts may differ; and members and roles, of which it may
   * differ who was told of last, because a page in which nothing has changed is not registered. What the
   * member may do depends on it, but not where.
   */
  readonly moving: ReadonlySet<string>;
}

function comparable({ rows, rights }: Sight, excepted: Excepted): Outcome {
  return without({ ...parseRows(rows) as unknown as Rows, rights }, excepted);
}

function without(outcome: Outcome, { organizations, moving }: Excepted): Outcome {
  const filtered = (rows: RowsById, idOf: (key: string) => string | undefined): RowsById =>
    Object.fromEntries(Object.entries(rows).filter(([key]) => !organizations.has(idOf(key) ?? "")));
  const still = (rows: RowsById): RowsById =>
    mapRows(rows, (row, id) => moving.has(id) ? omit(row, VOLATILE) : row);
  const hasMovingRole = Object.keys(outcome.roles).some((id) => moving.has(id));
  const moved = new Set(
    Object.entries(outcome.memberships)
      .flatMap(([id, row]) => moving.has(id) ? [(row as JsonObject).user_id] : []),
  );
  return {
    ...outcome,
    profiles: still(outcome.profiles),
    organizations: still(filtered(outcome.organizations, (id) => id)),
    rights: mapRows(
      filtered(outcome.rights, (key) => key.split(" ")[1]),
      (row, key) =>
        hasMovingRole || moved.has(key.split(" ")[0]) ? { organizations: row.organizations } : row,
    ),
  };
}

function mapRows(rows: RowsById, change: (row: JsonObject, id: string) => JsonObject): RowsById {
  return Object.fromEntries(
    Object.entries(rows).map(([id, row]) => [id, change(row as JsonObject, id)]),
  );
}

function omit(row: JsonObject, columns: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(row).filter(([column]) => !columns.includes(column)));
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
  plan: Plan,
  observations: readonly Message[],
  arrivals: Plan["inOrder"],
  connections: number,
): Promise<{ run: Run; sight: Sight }> {
  await stage.reset();
  let run: Run;
  try {
    run = await stage.deliver(plan, arrivals, connections);
  } catch (error) {
    throw new Violation("errors", String(error), { cause: error });
  }
  const sight = await stage.look();
  const found = await stage.search([...marksOfTheGone(observations), NEVER_STORED]);

  holds("erasure", () => assertEquals([...run.leftovers, ...found], []));
  holds("announcements", () => assertAnnounced(sight));
  holds("inbox", () => assertKept(run, sight, observations));
  return { run, sight };
}

/** Reconciles, and compares the rows with what Clerk lists, whatever the messages were. */
async function reconcile(
  stage: Stage,
  { listing }: Plan,
  observations: readonly Message[],
): Promise<void> {
  await stage.reconcile(listing);
  const sight = await stage.look();
  const { profiles, organizations, memberships, ...others } = parseRows(
    sight.rows,
  ) as unknown as Rows;
  const listed = expectedRows(listing.flatMap(observationsOf), []);
  const living = { ...listed.profiles, ...listed.organizations, ...listed.memberships };
  const expected: RowsById = { ...living, ...listed.invitations, ...listed.roles };
  const later = toldLater(observations, listing);
  const comparable = (rows: RowsById): RowsById =>
    mapRows(
      Object.fromEntries(
        Object.entries(rows).filter(([id, row]) =>
          Object.hasOwn(expected, id) && !later.has(id) &&
          // Members have the names of their profiles.
          !later.has(String((row as JsonObject).user_id))
        ),
      ),
      (row) => omit(row, VOLATILE),
    );

  const found = { ...profiles, ...organizations, ...memberships };
  const foundLiving = Object.keys(found).filter((id) => (found[id] as JsonObject).gone !== true);
  const gone = Object.keys(profiles).filter((id) => !Object.hasOwn(living, id));
  const leftovers = await stage.search(gone.flatMap(marksOf));
  holds("reconcile", () => {
    assertEquals(foundLiving.sort(), Object.keys(living).sort());
    assertEquals(
      comparable({ ...found, ...others.invitations, ...others.roles }),
      comparable(expected),
    );
    assertEquals(leftovers, []);
  });
  holds("announcements", () => assertAnnounced(sight));
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

  // No delivery and no page announces an object twice.
  const causes = announcements.map(({ id, caused_by, via, at }) =>
    `${caused_by ?? (via === "snapshot" ? at : via)} ${id}`
  );
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
function newsOf({ kind, id, old, new: now, via }: Change): News[] {
  if (now === null) return kind === "membership" ? [news(id, "membership.deleted", [])] : [];

  const wasGone = (old?.deleted_at ?? null) !== null;
  const isGone = (now.deleted_at ?? null) !== null;
  if (wasGone && isGone) return [];

  const changed = Object.keys(now).filter((column) =>
    !NO_NEWS.has(column) && !(via === "snapshot" && VOLATILE.includes(column)) &&
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
