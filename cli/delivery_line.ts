/**
 * A line of the webhook's log for a person's eyes: time, status, outcome, event type,
 * message id, duration. What is no delivery stays as it is.
 */
export function formatDelivery(line: string, at: Date): string {
  const entry = parseEntry(line);
  if (typeof entry.outcome !== "string") {
    return typeof entry.message === "string" ? entry.message : line;
  }
  const { status, outcome, type, message_id: messageId, ms, code } = entry;
  return [
    at.toTimeString().slice(0, 8),
    String(status ?? ""),
    outcome.padEnd(15),
    String(type ?? "-").padEnd(14),
    String(messageId ?? "-"),
    ...(code === undefined ? [] : [String(code)]),
    ...(typeof ms === "number" ? [`${ms} ms`] : []),
  ].join("  ");
}

function parseEntry(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
