import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Message, MessageDetail } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { CommandLine, Id } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Diff } from "../parts/diff.tsx";
import { JsonTree } from "../parts/json_tree.tsx";
import { ReplayDialog } from "../parts/replay_dialog.tsx";
import { Load, Note } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { post, ServerError, useLoaded } from "../server.ts";
import { dateTime, milliseconds } from "../words.ts";

interface DeliveryProps {
  readonly id: string;
  /** As the list has it; a change of it loads the delivery again. */
  readonly listed: Message | undefined;
  onClose(): void;
}

/** A delivery beside the list: what came, what became of it, and what to do. */
export function Delivery({ id, listed, onClose }: DeliveryProps): VNode {
  const loaded = useLoaded<MessageDetail>(`/api/messages/${encodeURIComponent(id)}`);
  const heading = useRef<HTMLHeadingElement>(null);
  const [asks, setAsks] = useState<"replay" | "discard" | null>(null);
  const version = listed && `${listed.outcome} ${listed.last_delivered_at} ${listed.deliveries}`;
  const seen = useRef(version);

  useEffect(() => {
    if (version !== undefined && seen.current !== undefined && version !== seen.current) {
      loaded.reload();
    }
    seen.current = version;
  }, [version]);
  useEffect(() => {
    // On a narrow screen the list is gone.
    if (document.querySelector(".master")?.clientWidth === 0) heading.current?.focus();
  }, [id]);

  return (
    <article class="detail" aria-labelledby="delivery">
      <header>
        <h2 id="delivery" ref={heading} tabIndex={-1}>
          {loaded.value?.type ?? listed?.type ?? "Delivery"}
        </h2>
        {(loaded.value ?? listed) !== undefined && (
          <Badge word={(loaded.value ?? listed)?.outcome ?? ""} />
        )}
        <button type="button" class="button quiet small close" aria-label="Close" onClick={onClose}>
          Close <kbd>Esc</kbd>
        </button>
      </header>
      <Load from={loaded}>
        {(message) => (
          <>
            <Verdict message={message} onAsk={setAsks} />
            <Envelope message={message} />
            <Difference message={message} />
            <Payload message={message} />
            {asks === "replay" && (
              <ReplayDialog
                request={{ message_ids: [message.message_id] }}
                onClose={() => {
                  setAsks(null);
                  loaded.reload();
                }}
              />
            )}
            {asks === "discard" && (
              <DiscardDialog
                message={message}
                onClose={() => {
                  setAsks(null);
                  loaded.reload();
                }}
              />
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
      {why !== null && <p>{why}</p>}
      {isWaiting && (
        <Note tone="bad">
          {error?.sqlstate !== undefined && (
            <p>
              <strong>The database raised {error.sqlstate}</strong>
              {error.message === undefined ? "" : `: ${error.message}`}
            </p>
          )}
          {(error?.issues ?? []).length > 0 && (
            <>
              <p>
                <strong>It does not have the expected shape:</strong>
              </p>
              <ul class="mono">
                {(error?.issues ?? []).map(({ path, code }) => (
                  <li key={path}>{path === "" ? "body" : path}: {code}</li>
                ))}
              </ul>
            </>
          )}
          {advice !== null && <p>{advice}</p>}
        </Note>
      )}
      {!isWaiting && advice !== null && <Note>{advice}</Note>}
      {isWaiting && (
        <>
          <p class="muted">
            {next === undefined
              ? "Svix has given it up by its schedule. Replay it here, or resend it from Clerk's dashboard."
              : (
                <>
                  Svix delivers it again <Age at={next} /> ({dateTime(next)}){later.length > 0 &&
                    `, and then up to ${later.length} more times, unless it succeeds`}.
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

function Envelope({ message }: { readonly message: MessageDetail }): VNode {
  const { message_id, object_id, occurred_at, received_at, last_delivered_at, deliveries } =
    message;
  const latency = occurred_at === null ? null : Date.parse(received_at) - Date.parse(occurred_at);
  return (
    <section>
      <h3>Envelope</h3>
      <dl class="pairs">
        <dt>Message</dt>
        <dd>
          <Id id={message_id} />
        </dd>
        <dt>Object</dt>
        <dd class="row">
          {object_id === null ? "–" : <Id id={object_id} />}
          {object_id !== null && <a href={hrefOf("timeline", { q: object_id })}>Timeline</a>}
        </dd>
        <dt>Happened</dt>
        <dd class="number">{occurred_at === null ? "–" : dateTime(occurred_at)}</dd>
        <dt>Received</dt>
        <dd class="number">
          {dateTime(received_at)}
          {latency !== null && latency >= 0 && (
            <span class="muted">· {milliseconds(latency)} after it happened</span>
          )}
        </dd>
        <dt>Delivered</dt>
        <dd class="number">
          {deliveries === 1 ? "once" : (
            <>
              {deliveries} times, last <Age at={last_delivered_at} />
            </>
          )}
        </dd>
      </dl>
    </section>
  );
}

function Difference({ message }: { readonly message: MessageDetail }): VNode | null {
  const { changes, changes_unknown, outcome } = message;
  if (outcome !== "applied") return null;
  return (
    <section>
      <h3>What it changed</h3>
      {changes === null
        ? <p class="muted">That is not known. {changes_unknown}</p>
        : changes.length === 0
        ? <p class="muted">No column but updated_at.</p>
        : <Diff changes={changes} />}
    </section>
  );
}

function Payload(
  { message: { payload, has_payload } }: { readonly message: MessageDetail },
): VNode {
  return (
    <section>
      <h3>Payload</h3>
      {payload === null
        ? (
          <p class="muted">
            {has_payload
              ? "It could not be read."
              : "Not stored: its type or an erasure forbids it, or its retention is over."}
          </p>
        )
        : <JsonTree text={payload} name="payload" />}
    </section>
  );
}

function DiscardDialog(
  { message: { message_id, commands }, onClose }: {
    readonly message: MessageDetail;
    readonly onClose: () => void;
  },
): VNode {
  const [error, setError] = useState<string | null>(null);
  const discard = async (): Promise<void> => {
    try {
      await post("/api/discard", { message_ids: [message_id] });
      onClose();
    } catch (failure) {
      setError(failure instanceof ServerError ? failure.message : String(failure));
    }
  };
  return (
    <Dialog title="Discard this delivery?" onClose={onClose}>
      <p>
        Its payload is erased, it is never applied, and the status no longer counts it. This cannot
        be taken back.
      </p>
      <Id id={message_id} />
      <CommandLine text={discardCommand(commands.replay)} />
      {error !== null && <Note tone="bad">{error}</Note>}
      <div class="actions">
        <button type="button" class="button" onClick={onClose}>Keep it</button>
        <button type="button" class="button danger" onClick={discard}>Discard</button>
      </div>
    </Dialog>
  );
}

function discardCommand(replay: string): string {
  return `${replay} --discard`;
}
