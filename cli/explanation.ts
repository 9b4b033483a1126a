import type { Announcement, Change, Event, Explained } from "../operations/explain.ts";
import type { Paint } from "./colour.ts";
import { fold } from "./fold.ts";

/** Where the database stops to count. */
const MOST_EVENTS = 1000;
/** Characters of a value that are shown. */
const MOST_CHARACTERS = 400;

/** The explanation for people, in lines of at most this width. */
export function pageOf(objects: readonly Explained[], width: number, paint: Paint): string {
  const pages = objects.map((object) =>
    linesOf(object, paint).flatMap((line) => folded(line, width)).join("\n")
  );
  return pages.join("\n\n\n");
}

/** A line, and where it goes on when it is too long. */
interface Line {
  readonly text: string;
  readonly indent: number;
  /** Colours the first word. */
  readonly colour?: (text: string) => string;
}

function linesOf(object: Explained, paint: Paint): Line[] {
  const { id, kind, verdict, row, differs, events, more_events, left } = object;
  const byHand = (differs ?? []).map(({ column }) => column);
  return [
    line(`${kind} ${id}`),
    line(verdict),
    ...(byHand.length === 0
      ? []
      : [line(`Changed since by something else than the sync: ${byHand.join(", ")}.`)]),
    ...(row === null ? [] : [line(""), line("Row"), ...columnsOf(row)]),
    line(""),
    line(events.length === 0 ? "The inbox has no event of it" : "Events in Clerk's order, UTC"),
    ...(more_events === 0 ? [] : [
      line(
        `  ${more_events}${more_events >= MOST_EVENTS ? " or more" : ""} older ones are not shown`,
      ),
    ]),
    ...events.flatMap((event) => eventLines(event, object, paint)),
    ...besides(object, paint),
    ...(left === null ? [] : [
      line(""),
      line("What is left of it"),
      ...left.map(({ table, rows, holds }) =>
        line(`  ${String(rows).padStart(4)}  ${table.padEnd(35)} ${rows === 0 ? "" : holds}`, 44)
      ),
    ]),
  ];
}

function line(text: string, indent = 2): Line {
  return { text: withoutControls(text).trimEnd(), indent };
}

/** The columns that hold something; the names of all others in a line. */
function columnsOf(row: Readonly<Record<string, unknown>>): Line[] {
  const isEmpty = (value: unknown): boolean =>
    value === null || value === false || /^(?:\[\]|\{\}|"")$/.test(JSON.stringify(value));
  const names = Object.keys(row).filter((name) => name !== "id").sort();
  const empty = names.filter((name) => isEmpty(row[name]));
  const width = Math.max(...names.map((name) => name.length)) + 2;
  return [
    ...names.filter((name) => !isEmpty(row[name])).map((name) =>
      line(`  ${name.padEnd(width)}${shown(row[name])}`, width + 2)
    ),
    ...(empty.length === 0
      ? []
      : [line(`  ${"empty".padEnd(width)}${empty.join(", ")}`, width + 2)]),
  ];
}

function eventLines(event: Event, { kind, announced }: Explained, paint: Paint): Line[] {
  const { message_id, type, outcome, why, deliveries, changes, changes_unknown } = event;
  const own = announced.filter(({ caused_by }) => caused_by === message_id);
  const isSilent = outcome === "applied" && own.length === 0 && kind !== "invitation";
  return [
    line(""),
    {
      ...line(
        `${outcome.padEnd(10)} ${timeOf(event.ordered_at)}  ${type ?? "no type"}  ${message_id}`,
        11,
      ),
      colour: (text) => paint(text, statusOf(outcome)),
    },
    line(`  ${why}`),
    ...(deliveries === 1 ? [] : [line(`  Delivered ${deliveries} times.`)]),
    ...(changes_unknown === null
      ? []
      : [line(`  What it changed is not known. ${changes_unknown}`)]),
    ...(changes?.length === 0 ? [line("  It changed no column but updated_at.")] : []),
    ...(changes ?? []).map((change) => line(`    ${changeText(change)}`, 6)),
    ...own.flatMap((announcement) => announcementLine(announcement, paint)),
    ...(isSilent ? [line("  announced  nothing that the queue or its archive still has")] : []),
  ];
}

function changeText(change: Change): string {
  return "after" in change
    ? `${change.column}: ${shown(change.before ?? null)} → ${shown(change.after)}`
    : `${change.column}: changed (its value is not shown)`;
}

/** What was announced without any of the events: by a snapshot, ensure_profile(), or by hand. */
function besides({ announced, events }: Explained, paint: Paint): Line[] {
  const ids = new Set<string | null>(events.map(({ message_id }) => message_id));
  const others = announced.filter(({ caused_by }) => !ids.has(caused_by));
  if (others.length === 0) return [];
  return [
    line(""),
    line("Announced by other means"),
    ...others.flatMap((each) => {
      const cause = each.caused_by ??
        (each.via === "ensure_profile" ? "ensure_profile()" : each.via) ?? "an edit by hand";
      return [line(`  ${timeOf(each.enqueued_at)}  by ${cause}`), ...announcementLine(each, paint)];
    }),
  ];
}

function announcementLine(announcement: Announcement, paint: Paint): Line[] {
  const { topic, changed, state } = announcement;
  const columns = topic.endsWith(".updated") ? ` (${(changed ?? []).join(", ")})` : "";
  const colour = { done: 200, dead: 500, retrying: 400, waiting: undefined, in_flight: undefined };
  const status = colour[state];
  return [{
    ...line(`  announced  ${topic}${columns}: ${fateOf(announcement)}`, 13),
    ...(status === undefined ? {} : { colour: (text: string) => paint(text, status) }),
  }];
}

function fateOf({ state, at, reads, handler, error_class }: Announcement): string {
  const when = at === null ? "" : timeOf(at);
  switch (state) {
    case "waiting":
      return reads === 0 ? "waits for a worker" : `waits for a worker, after ${reads} attempts`;
    case "in_flight":
      return `a worker has it, attempt ${reads}`;
    case "retrying":
      return `${handler} failed with ${error_class}, attempt ${reads}; next try ${when}`;
    case "done":
      return `done ${when}`;
    case "dead":
      return `dead with ${error_class}`;
    default:
      return state satisfies never;
  }
}

function statusOf(outcome: string): number {
  if (outcome === "applied") return 200;
  return outcome === "failed" || outcome === "unreadable" ? 500 : 400;
}

function timeOf(iso: string): string {
  return new Date(iso).toISOString().slice(0, 19).replace("T", " ");
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : value === null ? "–" : JSON.stringify(value);
  return text.length <= MOST_CHARACTERS
    ? text
    : `${text.slice(0, MOST_CHARACTERS)}… (${text.length} characters; --json shows all)`;
}

/** People choose their names: what could move the cursor, or turn the text around, is spelled out. */
function withoutControls(text: string): string {
  return text.replace(
    /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function folded({ text, indent, colour = (word) => word }: Line, width: number): string[] {
  const [first = "", ...others] = fold(text, indent, width);
  return [first.replace(/\S+/, (word) => colour(word)), ...others];
}
