import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Message, MessageDetail } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Pair } from "../parts/card.tsx";
import { CommandLine, Id } from "../parts/copy.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Diff } from "../parts/diff.tsx";
import { JsonTree } from "../parts/json_tree.tsx";
import { ReplayDialog } from "../parts/replay_dialog.tsx";
import { Load, Note, Sentence } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { post, useLoaded } from "../ask.ts";
import { dateTime, milliseconds } from "../words.ts";

interface DeliveryProps {
  readonly id: string;
  /** As the list has it; a change of it loads the delivery again. */
  readonly listed: Message | undefined;
  onClose(): void;
  /** It may have another outcome now. */
  onChange(): void;
}

/** A delivery beside the list: what came, what became of it, and what to do. */
export function Delivery({ id, listed, onClose, onChange }: DeliveryProps): VNode {
  const loaded = useLoaded<MessageDetail>(`/api/messages/${encodeURIComponent(id)}`);
  const heading = useRef<HTMLHeadingElement>(null);
  const [asks, setAsks] = useState<"replay" | "discard" | null>(null);
  const known = loaded.value ?? listed;

  useEffect(() => {
    const { value } = loaded;
    if (value === undefined || listed === undefined) return;
    if (value.outcome !== listed.outcome || value.deliveries !== listed.deliveries) loaded.reload();
  }, [listed]);
  useEffect(() => {
    // On a narrow screen the list is gone.
    if (document.querySelector(".master")?.clientWidth === 0) heading.current?.focus();
  }, [id]);
  const answer = (): void => {
    setAsks(null);
    loaded.reload();
    onChange();
  };

  return (
    <article class="detail" aria-labelledby="delivery">
      <header>
        <h1 id="delivery" ref={heading} tabIndex={-1}>{known?.type ?? "Delivery"}</h1>
        {known !== undefined && <Badge word={known.outcome} />}
        <button type="button" class="button quiet small close" onClick={onClose}>
          Close <kbd aria-hidden="true">Esc</kbd>
        </button>
      </header>
      <Load from={loaded}>
        {(message) => (
          <>
            <Verdict message={message} onAsk={setAsks} />
            <Envelope message={message} />
            <Difference message={message} />
            <section>
              <h2>Payload</h2>
              {message.payload === null
                ? (
                  <p class="muted">
                    It is not stored: its type or an erasure forbids it, or its retention is over.
                  </p>
                )
                : <JsonTree text={message.payload} name="payload" />}
            </section>
            {asks === "replay" && (
              <ReplayDialog choice={{ message_ids: [message.message_id] }} onClose={answer} />
            )}
            {asks === "discard" && (
              <Confirm
                title="Discard this delivery?"
                command={message.commands.replay.replace("replay", "replay --discard")}
                verb="Discard"
                isDanger
                onDo={async () => {
                  await post("/api/discard", { message_ids: [message.message_id] });
                }}
                onClose={answer}
              >
                <p>
                  Its payload is erased, it is never applied, and the status no longer counts it.
                  This cannot be undone.
                </p>
                <Id id={message.message_id} />
              </Confirm>
            )}
          </>
        )}
      </Load>
    </article>
  );
}

/** Why it has its outcome, and what can be done. */
function Verdict(
  { message, onAsk }: {
    readonly message: MessageDetail;
    readonly onAsk: (what: "replay" | "discard") => void;
  },
): VNode {
  const { outcome, why, advice, error, next_tries, commands } = message;
  const isWaiting = outcome === "failed" || outcome === "unreadable";
  const [next, ...later] = next_tries;
  return (
    <section class="stack" aria-label="Outcome">
      {!isWaiting && why !== null && (
        <p>
          <Sentence text={why} />
        </p>
      )}
      {(isWaiting || advice !== null) && (
        <Note {...(isWaiting ? { tone: "bad" } : {})}>
          {isWaiting && (
            <p>
              <strong>
                <Sentence text={why ?? errorText(error)} />
              </strong>
            </p>
          )}
          {advice !== null && (
            <p>
              <Sentence text={advice} />
            </p>
          )}
        </Note>
      )}
      {isWaiting && (
        <>
          <p class="muted">
            {next === undefined
              ? "By its schedule, Svix delivers it no more. Replay it here, or resend it from Clerk's dashboard."
              : (
                <>
                  Svix delivers it again <Age at={next} /> ({dateTime(next)}){later.length > 0 &&
                    `, and up to ${later.length} more times until it succeeds`}.
                </>
              )}
          </p>
          <div class="actions">
            <button type="button" class="button primary" onClick={() => onAsk("replay")}>
              Replay…
            </button>
            <button type="button" class="button danger" onClick={() => onAsk("discard")}>
              Discard…
            </button>
          </div>
          <CommandLine text={commands.replay} />
        </>
      )}
    </section>
  );
}

function errorText(error: MessageDetail["error"]): string {
  const { sqlstate, message = "", issues = [] } = error ?? {};
  return sqlstate === undefined
    ? issues.map(({ path, code }) => `${path || "body"}: ${code}`).join(", ")
    : `The database raised ${sqlstate}: ${message}`;
}

function Envelope({ message }: { readonly message: MessageDetail }): VNode {
  const { message_id, object_id, occurred_at, received_at, last_delivered_at, deliveries } =
    message;
  const latency = occurred_at === null ? -1 : Date.parse(received_at) - Date.parse(occurred_at);
  return (
    <section>
      <h2>Envelope</h2>
      <dl class="pairs">
        <Pair name="Message">
          <Id id={message_id} />
        </Pair>
        <Pair name="Object">
          {object_id === null ? "–" : (
            <>
              <Id id={object_id} /> <a href={hrefOf("timeline", { q: object_id })}>Timeline</a>
            </>
          )}
        </Pair>
        <Pair name="Happened">{occurred_at === null ? "–" : dateTime(occurred_at)}</Pair>
        <Pair name="Received">
          {dateTime(received_at)}
          {latency >= 0 && `, ${milliseconds(latency)} after it happened`}
        </Pair>
        <Pair name="Delivered">
          {deliveries === 1 ? "once" : (
            <>
              {deliveries} times, last <Age at={last_delivered_at} />
            </>
          )}
        </Pair>
      </dl>
    </section>
  );
}

function Difference(
  { message: { changes, changes_unknown, outcome } }: { readonly message: MessageDetail },
): VNode | null {
  if (outcome !== "applied") return null;
  return (
    <section>
      <h2>What it changed</h2>
      {changes === null
        ? <p class="muted">That is not known. {changes_unknown}</p>
        : changes.length === 0
        ? <p class="muted">No column but updated_at.</p>
        : <Diff changes={changes} />}
    </section>
  );
}
