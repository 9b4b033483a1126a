import { z } from "zod";
import { type Answer, type ClerkApi, ClerkApiError } from "./clerk_api.ts";
import { type Kind, KINDS } from "./kinds.ts";
import { type Page, type PageObject, readPage } from "./page_text.ts";
import { isJsonObject } from "../../_shared/clerk_sync/json.ts";

/** Where a list goes on. */
export const Cursor = z.object({
  /** How many objects are skipped; for users, the last ids do. */
  offset: z.number().default(0),
  /** The last ids of the page before, in the order of the list. */
  last: z.array(z.string()).default([]),
  /** `total_count` of the first page. */
  total: z.number().nullable().default(null),
  /** Whether objects may have been missed: rows shift under an offset when others are deleted. */
  hasGap: z.boolean().default(false),
  /** How often the list was read to its end. */
  passes: z.number().default(0),
});
export type Cursor = z.infer<typeof Cursor>;

export const FIRST: Cursor = Cursor.parse({});

/** What a page lists and the one before did not, and where to go on after it. */
export interface ListedPage extends Page {
  readonly observedAt: number;
  /** Null after the last page. */
  readonly next: Cursor | null;
}

export interface PageOptions {
  /** Objects a page; Clerk gives at most 500. */
  readonly size: number;
  /** How many pages are asked for at once, where that is possible. */
  readonly inFlight: number;
}

export const PAGE_OPTIONS: PageOptions = { size: 500, inFlight: 4 };

/** How often a list is read at most when it moves meanwhile. */
const MOST_PASSES = 3;

/** The last page's ids that can be a cursor: the last one, or another if it is deleted meanwhile. */
const CURSORS = 5;

/**
 * Lists all objects of a kind, from a cursor on. The next page is on its way while one is used.
 *
 * @throws {ClerkApiError}
 */
export function listPages(
  api: ClerkApi,
  kind: Kind,
  from: Cursor,
  options: PageOptions,
): AsyncGenerator<ListedPage> {
  return kind === "user" ? byCursor(api, from, options) : byOffset(api, kind, from, options);
}

/** Users, by Clerk's cursor: nothing shifts under it. */
async function* byCursor(
  api: ClerkApi,
  from: Cursor,
  { size }: PageOptions,
): AsyncGenerator<ListedPage> {
  const ask = async ({ last }: Cursor): Promise<ListedPage> => {
    const path = `${KINDS.user.list}&limit=${size}`;
    let answer: Answer<Page>;
    let id: string | undefined;
    const cursors = [...last];
    do {
      id = cursors.pop();
      const cursor = id === undefined ? "" : `&starting_after=${encodeURIComponent(id)}`;
      answer = await api.get(`${path}${cursor}`, readPage);
    } while (!("body" in answer) && cursors.length > 0);

    const { body, observedAt } = bodyOf("user", answer);
    const ids = idsIn(body.objects);
    if (id !== undefined && ids.includes(id)) throw repeated("user", "starting_after");
    const next = body.objects.length < size ? null : { ...FIRST, last: ids.slice(-CURSORS) };
    return { ...body, observedAt, next };
  };

  let coming: Promise<ListedPage> | undefined = ask(from);
  while (coming !== undefined) {
    const page: ListedPage = await coming;
    coming = page.next === null ? undefined : awaited(ask(page.next));
    yield page;
  }
}

/** Users of one page that is read for the newest changes. */
const NEWEST = 100;

/** Users in the order of their last change, the newest first. Those that change meanwhile shift the others down. */
export async function readNewestUsers(
  api: ClerkApi,
  offset: number,
): Promise<Observed & { readonly oldest: number; readonly next: Cursor | null }> {
  const path = `/users?order_by=-updated_at&limit=${NEWEST}&offset=${offset}`;
  const { body, observedAt } = bodyOf("user", await api.get(path, readPage));
  const last = body.objects.at(-1)?.value;
  const oldest = isJsonObject(last) ? Number(last.updated_at) : NaN;
  const next = body.objects.length < NEWEST
    ? null
    : { ...FIRST, offset: offset + NEWEST - overlapOf(NEWEST) };
  return { ...body, observedAt, oldest, next };
}

/** Other kinds, by offset. */
async function* byOffset(
  api: ClerkApi,
  kind: Kind,
  from: Cursor,
  { size, inFlight }: PageOptions,
): AsyncGenerator<ListedPage> {
  const overlap = overlapOf(size);
  const ask = async (offset: number): Promise<Observed> => {
    const path = `${KINDS[kind].list}&limit=${size}&offset=${offset}`;
    const { body, observedAt } = bodyOf(kind, await api.get(path, readPage));
    return { ...body, observedAt };
  };

  let coming: Promise<Observed>[] = [];
  let asked = from.offset;
  for (let cursor = from;;) {
    const known = cursor.total ?? 0;
    while (coming.length === 0 || (coming.length < inFlight && asked < known)) {
      coming.push(awaited(ask(asked)));
      asked += size - overlap;
    }
    const page = await coming.shift();
    if (page === undefined) return;

    const listed = new Set(cursor.last);
    const objects = page.objects.filter((object) => !idsIn([object]).some((id) => listed.has(id)));
    const next = cursorAfter(page, cursor, size, overlap);
    const last = next?.last.at(-1);
    if (last !== undefined && last === cursor.last.at(-1)) throw repeated(kind, "offset");
    yield { ...page, objects, next };
    if (next === null) return;
    if (next.passes > cursor.passes) [coming, asked] = [[], 0];
    cursor = next;
  }
}

/** Without this, a run would never end. */
export function repeated(kind: Kind, parameter: string): ClerkApiError {
  return new ClerkApiError(
    `Cannot list objects of kind ${kind} as Clerk's API gives the same page again: try again later, or check that what CLERK_API_URL names heeds ${parameter}`,
  );
}

/** So many objects of a page are on the one before, too. */
function overlapOf(size: number): number {
  return Math.ceil(size / 20);
}

type Observed = Page & { readonly observedAt: number };

/**
 * Each page overlaps the one before, so that a few deletions meanwhile hide nothing. If a page does not, or
 * the total has moved, the list is read again.
 */
function cursorAfter(page: Page, at: Cursor, size: number, overlap: number): Cursor | null {
  const ids = idsIn(page.objects);
  const isApart = at.last.length > 0 && !ids.some((id) => at.last.includes(id));
  const hasGap = at.hasGap || isApart;
  const total = at.total ?? page.total;

  if (page.objects.length === size) {
    return { ...at, offset: at.offset + size - overlap, last: ids.slice(-overlap), total, hasGap };
  }
  const passes = at.passes + 1;
  const isAgain = (hasGap || page.total !== total) && passes < MOST_PASSES;
  return isAgain ? { ...FIRST, passes } : null;
}

/** An instance without organizations has none to list. */
const DISABLED = "organization_not_enabled_in_instance";

function bodyOf(
  kind: Kind,
  answer: Answer<Page>,
): { readonly body: Page; readonly observedAt: number } {
  if ("body" in answer) return answer;
  if (answer.code === DISABLED) {
    return { body: { objects: [], total: 0 }, observedAt: Date.now() };
  }
  throw new ClerkApiError(
    `Cannot list objects of kind ${kind} as Clerk answers ${answer.status} ${answer.code}`,
  );
}

/** The ids of a page, also of objects that cannot be read. */
export function idsIn(objects: readonly PageObject[]): string[] {
  return objects.map(({ value }) => isJsonObject(value) ? value.id : undefined)
    .filter((id) => typeof id === "string");
}

/** A promise that somebody will await later, or never. */
function awaited<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {});
  return promise;
}
