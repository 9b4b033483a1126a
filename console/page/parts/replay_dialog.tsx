import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Replayed, ReplayEnd, ReplayRequest } from "../../api.ts";
import { linesOf, request as ask, ServerError } from "../server.ts";
import { count, counted } from "../words.ts";
import { Badge } from "./badge.tsx";
import { Command, Id } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { Note } from "./states.tsx";

/** What to replay, without saying whether for a trial. */
export type ReplayChoice = Omit<ReplayRequest, "dry_run">;

interface Progress {
  readonly isDry: boolean;
  readonly isRunning: boolean;
  readonly replayed: readonly Replayed[];
  readonly end: ReplayEnd | null;
  readonly error: string | null;
}

/** Rows that are drawn; the counts are of all. */
const MOST_ROWS = 200;

/** Replays messages: first as a dry run, which tells what would happen, then in earnest. */
export function ReplayDialog(
  { request, onClose }: { readonly request: ReplayChoice; readonly onClose: () => void },
): VNode {
  const [progress, setProgress] = useState<Progress | null>(null);
  const stopping = useRef(new AbortController());

  const run = async (isDry: boolean): Promise<void> => {
    setProgress({ isDry, isRunning: true, replayed: [], end: null, error: null });
    try {
      const response = await ask("/api/replay", {
        method: "POST",
        body: JSON.stringify({ ...request, dry_run: isDry }),
        signal: stopping.current.signal,
      });
      for await (const lines of linesOf<Replayed | ReplayEnd>(response)) {
        setProgress((last) =>
          last && ({
            ...last,
            replayed: [
              ...last.replayed,
              ...lines.filter((line): line is Replayed => !("done" in line)),
            ],
            end: lines.find((line) => "done" in line) ?? last.end,
          })
        );
      }
      setProgress((last) => last && ({ ...last, isRunning: false }));
    } catch (error) {
      if (stopping.current.signal.aborted) return;
      const sentence = error instanceof ServerError ? error.message : String(error);
      setProgress((last) => last && ({ ...last, isRunning: false, error: sentence }));
    }
  };

  useEffect(() => {
    run(true);
    return () => stopping.current.abort();
  }, []);

  const { isDry = true, isRunning = true, replayed = [], end = null, error = null } = progress ??
    {};
  const fixed = replayed.filter(({ result }) => result === "fixed").length;
  const failing = replayed.filter(({ result }) => result === "still failing").length;

  return (
    <Dialog title={titleOf(request)} onClose={onClose}>
      <p role="status">
        {isRunning
          ? `${isDry ? "Trying" : "Replaying"}… ${count(replayed.length)} so far`
          : error !== null
          ? "It stopped before the end."
          : replayed.length === 0
          ? "Nothing that matches is failed or unreadable."
          : isDry
          ? `A dry run wrote nothing. It would fix ${count(fixed)} and leave ${
            count(failing)
          } failing.`
          : `${count(fixed)} fixed, ${count(failing)} still failing.`}
      </p>
      {error !== null && <Note tone="bad">{error}</Note>}
      {replayed.length > 0 && <Results replayed={replayed} isDry={isDry} />}
      <Command words={wordsOf(request)} />
      <div class="actions">
        <button type="button" class="button" onClick={onClose}>
          {end !== null && !isDry ? "Done" : "Cancel"}
        </button>
        {isDry && (
          <button
            type="button"
            class="button primary"
            disabled={isRunning || replayed.length === 0}
            onClick={() => run(false)}
          >
            Replay {replayed.length === 0 ? "" : counted(replayed.length, "message")}
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Results(
  { replayed, isDry }: { readonly replayed: readonly Replayed[]; readonly isDry: boolean },
): VNode {
  return (
    <div class="results" tabIndex={0} role="region" aria-label="What became of each message">
      <table>
        <tbody>
          {replayed.slice(0, MOST_ROWS).map(({ message_id, type, result, outcome, sentence }) => (
            <tr key={message_id}>
              <td>
                <Badge word={result} />
              </td>
              <td class="id-cell">
                {type ?? "no type"}
                <div class="muted">
                  <Id id={message_id} />
                </div>
                {sentence !== null && <div>{sentence}</div>}
                {result === "fixed" && (
                  <div class="muted">{isDry ? "would be" : "now"} {outcome}</div>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {replayed.length > MOST_ROWS && (
        <p class="note">and {counted(replayed.length - MOST_ROWS, "more message")}</p>
      )}
    </div>
  );
}

function titleOf({ message_ids, outcomes, type, since, until }: ReplayChoice): string {
  if (message_ids?.length === 1) return "Replay this delivery";
  const which = outcomes === undefined ? "failed and unreadable" : outcomes.join(" and ");
  const ofType = type === undefined ? "" : ` of type ${type}`;
  const ofTime = since === undefined && until === undefined ? "" : " of the chosen time";
  return `Replay all ${which} deliveries${ofType}${ofTime}`;
}

/** The command that does the same. */
function wordsOf({ message_ids = [], outcomes = [], type, since, until }: ReplayChoice): string {
  return [
    "replay",
    ...message_ids,
    ...(outcomes.length === 1 ? [`--outcome ${outcomes[0]}`] : []),
    ...(type === undefined ? [] : [`--type ${type}`]),
    ...(since === undefined ? [] : [`--since ${since}`]),
    ...(until === undefined ? [] : [`--until ${until}`]),
  ].join(" ");
}
