import type { Outcome } from "../api.ts";

// Times, counts and ids as people read them.

export type Tone = "good" | "warn" | "bad" | "accent" | "plain";

/** Outcomes in the order of charts and filters. */
export const OUTCOMES: readonly Outcome[] = [
  "applied",
  "stale",
  "ignored",
  "discarded",
  "failed",
  "unreadable",
];

export const OUTCOME_HINTS: Readonly<Record<Outcome, string>> = {
  applied: "It is in the tables",
  stale: "Something newer, or a deletion, was there already",
  ignored: "Its type changes no table, or it is of another Clerk instance",
  discarded: "Somebody gave it up",
  failed: "The database raised an error; it will be tried again",
  unreadable: "It does not have Clerk's shape; it will be tried again",
};

export function toneOf(outcome: string): Tone {
  switch (outcome) {
    case "applied":
    case "fixed":
    case "done":
    case "finished":
    case "live":
      return "good";
    case "failed":
    case "unreadable":
    case "still failing":
    case "dead":
    case "stopped":
    case "bad_signature":
    case "missing_headers":
    case "too_large":
    case "unavailable":
    case "no_answer":
      return "bad";
    case "retrying":
    case "incomplete":
    case "method_not_allowed":
    case "gone":
      return "warn";
    case "in_flight":
    case "running":
      return "accent";
    default:
      return "plain";
  }
}

/** A word of the machine's as people write it: `bad_signature`, bad signature. */
export function spaced(word: string): string {
  return word.replaceAll("_", " ");
}

/** Seconds as a short length of time. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

export function milliseconds(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms / 1000);
}

export function count(number: number): string {
  return number.toLocaleString("en-US");
}

/** 1 message, 2 messages */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** The reader's own time, to the second. */
export function dateTime(iso: string): string {
  const date = new Date(iso);
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date)}`;
}

export function clock(date: Date, withSeconds = true): string {
  return date.toTimeString().slice(0, withSeconds ? 8 : 5);
}

/** A column's value in a word or a line. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return visible(value);
  // With spaces, so that a line breaks between two values and not within one.
  const lines = JSON.stringify(value, null, 1).replace(/(?<=[[{])\n\s*|\n\s*(?=[\]}])/g, "");
  return visible(lines.replace(/\n\s*/g, " "));
}

/** The text with the characters that nobody sees, or that turn others round, as their codes. */
export function visible(text: string): string {
  return text.replace(
    /(?![\n\t])[\p{Cc}\p{Cs}\p{Bidi_Control}\u{200b}\u{feff}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** How many rows of a kind there are, and at Clerk. */
export function rowsText(
  { here, clerk }: { readonly here: number; readonly clerk: number },
): string {
  return here === clerk
    ? `${count(here)}, as at Clerk`
    : `${count(here)} here, ${count(clerk)} at Clerk`;
}
