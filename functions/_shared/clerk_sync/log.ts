/** What a log line may hold: ids, words, numbers. Never a payload, an e-mail address or a name. */
export type LogEntry = Readonly<Record<string, unknown>>;

export type Log = (entry: LogEntry) => void;

/** Writes one JSON line to standard output. */
export function log(entry: LogEntry): void {
  console.log(JSON.stringify(entry));
}
