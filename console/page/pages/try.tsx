import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Events, Tried, TryEnd, TryRequest } from "../../api.ts";
import { Badge } from "../parts/badge.tsx";
import { CommandLine, Id } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { linesOf, request, ServerError, useLoaded } from "../server.ts";
import { count, counted, milliseconds } from "../words.ts";

type Mode = TryRequest["mode"];

const MODES: readonly (readonly [mode: Mode, name: string, hint: string])[] = [
  ["once", "Once", "As Clerk sends it"],
  ["twice", "Twice", "The same message again: a duplicate"],
  ["shuffled", "Out of order", "Several versions in random order"],
  ["wrong_signature", "Wrong signature", "It must be refused"],
  ["burst", "Burst", "Many different objects at once"],
];

/** More than this is asked about first. */
const MANY = 50;
/** Deliveries that are drawn. */
const MOST_ROWS = 100;

interface Sending {
  readonly isRunning: boolean;
  readonly tried: readonly Tried[];
  readonly end: TryEnd | null;
  readonly error: string | null;
}

/** Composes an event, sends it signed as Clerk does, and shows what the webhook answers. */
export function Try(): VNode {
  const events = useLoaded<Events>("/api/events");
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Try</h1>
        <p>
          Compose an event, and send it to this stack's webhook, signed as Clerk does. It comes up
          under Deliveries.
        </p>
      </div>
      <Load from={events}>{({ types }) => <Composer types={types} />}</Load>
    </div>
  );
}

function Composer({ types }: { readonly types: Events["types"] }): VNode {
  const [type, setType] = useState(types[0]?.type ?? "");
  const chosen = types.find((each) => each.type === type);
  const defaults = JSON.stringify(chosen?.defaults ?? {}, null, 2);
  const [edited, setEdited] = useState<string | null>(null);
  const [mode, setMode] = useState<Mode>("once");
  const [number, setNumber] = useState(20);
  const [isAsking, setAsking] = useState(false);
  const [sending, setSending] = useState<Sending | null>(null);
  const stopping = useRef(new AbortController());
  useEffect(() => () => stopping.current.abort(), []);

  const hasCount = mode === "burst" || mode === "shuffled";
  const problem = edited === null ? null : problemOf(edited);
  const send = async (): Promise<void> => {
    setAsking(false);
    setSending({ isRunning: true, tried: [], end: null, error: null });
    const body: TryRequest = { type, body: edited, mode, count: hasCount ? number : 1 };
    try {
      const response = await request("/api/try", {
        method: "POST",
        body: JSON.stringify(body),
        signal: stopping.current.signal,
      });
      for await (const lines of linesOf<Tried | TryEnd>(response)) {
        setSending((last) =>
          last && ({
            ...last,
            tried: [...last.tried, ...lines.filter((line): line is Tried => !("done" in line))],
            end: lines.find((line) => "done" in line) ?? last.end,
          })
        );
      }
      setSending((last) => last && ({ ...last, isRunning: false }));
    } catch (error) {
      if (stopping.current.signal.aborted) return;
      const sentence = error instanceof ServerError ? error.message : String(error);
      setSending((last) => last && ({ ...last, isRunning: false, error: sentence }));
    }
  };

  return (
    <>
      <form
        class="grid-2 composer"
        onSubmit={(event) => {
          event.preventDefault();
          if (hasCount && number > MANY) setAsking(true);
          else send();
        }}
      >
        <section class="card">
          <header>
            <h2>Event</h2>
          </header>
          <div class="body stack">
            <label class="field">
              Type
              <select
                value={type}
                onChange={(event) => {
                  setType(event.currentTarget.value);
                  setEdited(null);
                }}
              >
                {types.map((each) => <option key={each.type} value={each.type}>{each.type}
                </option>)}
              </select>
            </label>
            <p class="muted">{chosen?.description}</p>
            <label class="field">
              Body
              <textarea
                rows={18}
                spellcheck={false}
                value={edited ?? defaults}
                aria-invalid={problem !== null}
                aria-describedby={problem === null ? undefined : "problem"}
                onInput={(event) => setEdited(event.currentTarget.value)}
              />
            </label>
            {problem !== null && <p class="muted" id="problem">{problem} It is sent as it is.</p>}
            {edited !== null && (
              <div class="row">
                <button type="button" class="button small" onClick={() => setEdited(null)}>
                  Back to the default
                </button>
              </div>
            )}
          </div>
        </section>
        <div class="stack">
          <section class="card">
            <header>
              <h2>How to send it</h2>
            </header>
            <div class="body stack">
              <fieldset class="choices">
                <legend class="visually-hidden">How to send it</legend>
                {MODES.map(([each, name, hint]) => (
                  <label key={each}>
                    <input
                      type="radio"
                      name="mode"
                      value={each}
                      checked={mode === each}
                      onChange={() => setMode(each)}
                    />
                    <span>
                      {name}
                      <small>{hint}</small>
                    </span>
                  </label>
                ))}
              </fieldset>
              {hasCount && (
                <label class="field">
                  {mode === "burst" ? "Events" : "Versions"}
                  <input
                    type="number"
                    min={1}
                    max={1000}
                    required
                    value={number}
                    onInput={(event) => setNumber(Number(event.currentTarget.value))}
                  />
                </label>
              )}
              <div class="actions">
                <button type="submit" class="button primary" disabled={sending?.isRunning === true}>
                  {sending?.isRunning === true ? "Sending…" : "Send"}
                </button>
              </div>
            </div>
          </section>
          <section class="card" aria-live="polite">
            <header>
              <h2>What the webhook answered</h2>
              {sending !== null && <Totals tried={sending.tried} />}
            </header>
            {sending === null
              ? (
                <Empty title="Nothing sent yet">
                  <p>The answer to each delivery comes up here.</p>
                </Empty>
              )
              : <Answers sending={sending} />}
          </section>
        </div>
      </form>
      {isAsking && (
        <Dialog
          title={`Send ${counted(number, mode === "burst" ? "event" : "version")}?`}
          onClose={() => setAsking(false)}
        >
          <p>
            {mode === "burst"
              ? `This writes ${
                count(number)
              } new objects to the database of this stack, each with a message in the inbox.`
              : `This delivers ${
                count(number)
              } versions of one object. The newest one wins, in whatever order they come.`}
          </p>
          <div class="actions">
            <button type="button" class="button" onClick={() => setAsking(false)}>Cancel</button>
            <button type="button" class="button primary" onClick={send}>Send</button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function problemOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is no JSON: ${error instanceof Error ? error.message : error}.`;
  }
}

function Totals({ tried }: { readonly tried: readonly Tried[] }): VNode {
  const counts = new Map<string, number>();
  for (const { outcome } of tried) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return (
    <span class="muted number">
      {[...counts].map(([outcome, number]) => `${count(number)} ${outcome.replaceAll("_", " ")}`)
        .join(", ")}
    </span>
  );
}

function Answers({ sending: { tried, end, error } }: { readonly sending: Sending }): VNode {
  return (
    <div class="body stack">
      {error !== null && <Note tone="bad">{error}</Note>}
      {tried.length > 0 && (
        <div class="results" tabIndex={0} role="region" aria-label="Answers">
          <table>
            <tbody>
              {tried.slice(-MOST_ROWS).reverse().map((
                { message_id, status, outcome, ms },
                index,
              ) => (
                <tr key={tried.length - index}>
                  <td>
                    <Badge word={outcome} />
                  </td>
                  <td class="number muted">{status}</td>
                  <td class="id-cell">
                    {isStored(outcome)
                      ? (
                        <a class="plain" href={hrefOf("deliveries", { id: message_id })}>
                          <Id id={message_id} isPlain />
                        </a>
                      )
                      : <Id id={message_id} />}
                  </td>
                  <td class="number muted">{milliseconds(ms)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {end !== null && <CommandLine text={end.command} />}
    </div>
  );
}

/** Whether the inbox has the message. */
function isStored(outcome: string): boolean {
  return /^(?:applied|stale|duplicate|ignored|failed|unreadable)$/.test(outcome);
}
