import { type Paint, plain } from "./colour.ts";

/**
 * Formats a line of a function's log for the terminal. The webhook's: time, status, outcome, event
 * type, message id, what was wrong, duration. The worker's: time, verdict, topic, id, which handler
 * failed, why and at which attempt, duration; its totals become an empty text. Of a run over Clerk's
 * API: what it found; an empty text for a poll that found nothing. Other lines stay as they are.
 */
export function formatDelivery(line: string, at: Date, paint: Paint = plain): string {
  const entry = parseEntry(line);
  if (typeof entry.verdict === "string") {
    const { verdict, topic, id, handler, error_class: errorClass, reads, ms } = entry;
    return [
      at.toTimeString().slice(0, 8),
      verdict.padEnd(5),
      String(topic).padEnd(15),
      String(id),
      ...(handler === undefined ? [] : [`${handler}: ${errorClass}`, `attempt ${reads}`]),
      `${ms} ms`,
    ].join("  ");
  }
  if (entry.outcome === "drained") return "";
  if (entry.outcome === "reconciled") return formatRun(entry, at);
  if (typeof entry.outcome !== "string" || typeof entry.message === "string") {
    return typeof entry.message === "string" ? entry.message : line;
  }
  const { status, outcome, type, message_id: messageId, ms } = entry;
  return [
    at.toTimeString().slice(0, 8),
    paint(`${status ?? ""}  ${outcome.padEnd(10)}`, Number(status)),
    String(type ?? "-").padEnd(12),
    String(messageId ?? "-"),
    ...reasonsIn(entry),
    ...(typeof ms === "number" ? [`${Math.round(ms)} ms`] : []),
  ].join("  ");
}

const FOUND = ["missing", "outdated", "skipped", "surplus", "deleted"];

function formatRun(entry: Record<string, unknown>, at: Date): string {
  const { kind, is_finished: isFinished, halted } = entry;
  const found = FOUND.filter((name) => Number(entry[name]) > 0)
    .map((name) => `${entry[name]} ${name}`);
  if (kind === "poll" && isFinished && found.length === 0) return "";
  return [
    at.toTimeString().slice(0, 8),
    `${kind}${isFinished ? "" : ", to be continued"}: ${found.join(", ") || "no difference"}`,
    ...(typeof halted === "string" ? [halted] : []),
  ].join("  ");
}

/** Why an event was not applied, or not whole: codes and paths. */
function reasonsIn({ caller, code, sqlstate, issues, dropped }: Record<string, unknown>): string[] {
  const list = Array.isArray(issues) ? issues : [];
  return [
    ...[caller, code, sqlstate].filter((word) => word !== undefined).map(String),
    ...list.map((issue) => `${issue.path || "body"}: ${issue.code}`),
    ...(Array.isArray(dropped) ? [`dropped ${dropped.join(", ")}`] : []),
  ];
}

function parseEntry(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
