import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Replayed, ReplayEnd, ReplayRequest } from "../../api.ts";
import { useAction } from "../ask.ts";
import { count, counted, toneOf } from "../words.ts";
import { Badge } from "./badge.tsx";
import { Table } from "./card.tsx";
import { Command, Id } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { Note } from "./states.tsx";

/** What to replay, without saying whether for a trial. */
export type ReplayChoice = Omit<ReplayRequest, "dry_run">;

/** Rows that are drawn; the counts are of all. */
const MOST_ROWS = 200;

/** Replays messages: first as a dry run, which tells what would happen, then in earnest. */
export function ReplayDialog(
  { choice, onClose }: { readonly choice: ReplayChoice; readonly onClose: () => void },
): VNode {
  const { start, isRunning, items, end, error } = useAction<Replayed, ReplayEnd>();
  const [isDry, setDry] = useState(true);
  const run = (dry_run: boolean): void => {
    setDry(dry_run);
    start("/api/replay", { ...choice, dry_run });
  };
  useEffect(() => run(true), []);

  const number = (wanted: Replayed["result"]): string =>
    count(items.filter(({ result }) => result === wanted).length);
  return (
    <Dialog title={titleOf(choice)} onClose={onClose}>
      <p role="status">
        {isRunning
          ? `${isDry ? "Trying" : "Replaying"}… ${count(items.length)} so far`
          : error !== null
          ? "It did not get to the end."
          : end === null
          ? "Starting…"
          : items.length === 0
          ? "Nothing that matches is failed or unreadable."
          : isDry
          ? `A dry run wrote nothing. It would fix ${number("fixed")}, and ${
            number("still failing")
          } would still fail.`
          : `${number("fixed")} fixed, ${number("still failing")} still failing.`}
      </p>
      {error !== null && <Note tone="bad">{error}</Note>}
      {items.length > 0 && (
        <div class="results" tabIndex={0} role="region" aria-label="What became of each message">
          <Table>
            {items.slice(0, MOST_ROWS).map((item) => (
              <ResultRow key={item.message_id} item={item} isDry={isDry} />
            ))}
          </Table>
          {items.length > MOST_ROWS && (
            <p class="note">and {counted(items.length - MOST_ROWS, "more message")}</p>
          )}
        </div>
      )}
      <Command words={wordsOf(choice)} />
      <div class="actions">
        <button type="button" class="button" onClick={onClose}>
          {end !== null && !isDry ? "Done" : "Cancel"}
        </button>
        {isDry && (
          <button
            type="button"
            class="button primary"
            disabled={isRunning || items.length === 0}
            onClick={() => run(false)}
          >
            Replay {items.length > 0 && counted(items.length, "message")}
          </button>
        )}
      </div>
    </Dialog>
  );
}

function ResultRow(
  { item: { message_id, type, result, outcome, sentence }, isDry }: {
    readonly item: Replayed;
    readonly isDry: boolean;
  },
): VNode {
  return (
    <tr>
      <td>
        <Badge
          word={isDry && result === "fixed" ? "would be fixed" : result}
          tone={toneOf(result)}
        />
      </td>
      <td>
        {type ?? "no type"}{" "}
        <span class="muted">
          <Id id={message_id} isShort />
        </span>
        <div class="muted">{sentence ?? `${isDry ? "would be" : "now"} ${outcome}`}</div>
      </td>
    </tr>
  );
}

function titleOf({ message_ids, outcomes, type, since, until }: ReplayChoice): string {
  if (message_ids !== undefined) return "Replay this delivery";
  const which = outcomes === undefined ? "failed and unreadable" : outcomes.join(" and ");
  const ofType = type === undefined ? "" : ` of type ${type}`;
  const ofTime = since === undefined && until === undefined ? "" : ", received in the chosen time";
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
