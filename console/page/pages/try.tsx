import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Events, Tried, TryEnd, TryRequest } from "../../api.ts";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Table } from "../parts/card.tsx";
import { CommandLine, ShortId } from "../parts/copy.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { useAction, useLoaded } from "../ask.ts";
import { count, counted, milliseconds, spaced } from "../words.ts";

const MODES: readonly (readonly [mode: TryRequest["mode"], name: string, hint: string])[] = [
  ["once", "Once", "As Clerk sends it"],
  ["twice", "Twice", "The same message again"],
  ["shuffled", "Out of order", "Versions in random order"],
  ["wrong_signature", "Wrong signature", "It must be refused"],
  ["burst", "Burst", "Many objects at once"],
];

/** More than this is asked about first. */
const MANY = 50;
/** Answers that are drawn. */
const MOST_ROWS = 100;

/** Composes an event, sends it signed as Clerk does, and shows what the webhook answers. */
export function Try(): VNode {
  const events = useLoaded<Events>("/api/events");
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Try</h1>
        <p>Compose an event, and send it to this stack's webhook, signed as Clerk does.</p>
      </div>
      <Load from={events}>{({ types }) => <Composer types={types} />}</Load>
    </div>
  );
}

function Composer({ types }: { readonly types: Events["types"] }): VNode {
  const [type, setType] = useState(types[0]?.type ?? "");
  const [edited, setEdited] = useState<string | null>(null);
  const [mode, setMode] = useState<TryRequest["mode"]>("once");
  const [number, setNumber] = useState(20);
  const [isAsking, setAsking] = useState(false);
  const { start, ...action } = useAction<Tried, TryEnd>();

  const chosen = types.find((each) => each.type === type);
  const hasCount = mode === "burst" || mode === "shuffled";
  const problem = edited === null ? null : problemOf(edited);
  const send = (): void => {
    start("/api/try", { type, body: edited, mode, count: hasCount ? number : 1 });
  };

  return (
    <form
      class="grid-2 is-ragged"
      onSubmit={(event) => {
        event.preventDefault();
        if (hasCount && number > MANY) setAsking(true);
        else send();
      }}
    >
      <Card title="Event">
        <Body>
          <label class="field">
            Type
            <select
              value={type}
              onChange={(event) => {
                setType(event.currentTarget.value);
                setEdited(null);
              }}
            >
              {types.map((each) => <option key={each.type}>{each.type}</option>)}
            </select>
          </label>
          <p class="muted">{chosen?.description}</p>
          <label class="field">
            Body
            <textarea
              rows={18}
              spellcheck={false}
              value={edited ?? JSON.stringify(chosen?.defaults ?? {}, null, 2)}
              aria-invalid={problem !== null}
              onInput={(event) => setEdited(event.currentTarget.value)}
            />
          </label>
          {problem !== null && <p class="muted" role="status">{problem}. It is sent as it is.</p>}
          {edited !== null && (
            <button
              type="button"
              class="button small"
              onClick={() => setEdited(null)}
            >
              Back to the default
            </button>
          )}
        </Body>
      </Card>
      <div class="stack">
        <Card title="How to send it">
          <Body>
            <fieldset class="choices">
              <legend class="visually-hidden">How to send it</legend>
              {MODES.map(([each, name, hint]) => (
                <label key={each}>
                  <input
                    type="radio"
                    name="mode"
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
              <button type="submit" class="button primary" disabled={action.isRunning}>
                {action.isRunning ? "Sending…" : "Send"}
              </button>
            </div>
          </Body>
        </Card>
        <Answers action={action} />
      </div>
      {isAsking && (
        <Confirm
          title={`Send ${counted(number, mode === "burst" ? "event" : "version")}?`}
          verb="Send"
          onDo={() => send()}
          onClose={() => setAsking(false)}
        >
          <p>
            {mode === "burst"
              ? `This writes ${
                count(number)
              } new objects to the database of this stack, and as many messages to its inbox.`
              : `This delivers ${
                count(number)
              } versions of one object. The newest one wins, whatever the order.`}
          </p>
        </Confirm>
      )}
    </form>
  );
}

function problemOf(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : error}`;
  }
}

function Answers(
  { action: { isRunning, items, end, error } }: {
    readonly action: Omit<ReturnType<typeof useAction<Tried, TryEnd>>, "start">;
  },
): VNode {
  const counts = new Map<string, number>();
  for (const { outcome } of items) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const totals = [...counts].map(([outcome, number]) => `${count(number)} ${spaced(outcome)}`);
  return (
    <Card
      title="What the webhook answered"
      isLive
      beside={<span class="muted number">{totals.join(", ")}</span>}
    >
      {items.length === 0 && error === null && !isRunning
        ? <Empty title="Nothing sent yet" />
        : (
          <Body>
            {error !== null && <Note tone="bad">{error}</Note>}
            {items.length > 0 && (
              <div class="results" tabIndex={0} role="region" aria-label="Answers">
                <Table>
                  {items.slice(-MOST_ROWS).reverse().map((
                    { message_id, status, outcome, ms },
                    index,
                  ) => (
                    <tr key={items.length - index}>
                      <td>
                        <Badge word={outcome} />
                      </td>
                      <td class="number muted">{status}</td>
                      <td>
                        {status === 401
                          ? <ShortId id={message_id} />
                          : (
                            <a href={hrefOf("deliveries", { id: message_id })}>
                              <ShortId id={message_id} />
                            </a>
                          )}
                      </td>
                      <td class="number muted">{milliseconds(ms)}</td>
                    </tr>
                  ))}
                </Table>
              </div>
            )}
            {end !== null && <CommandLine text={end.command} />}
          </Body>
        )}
    </Card>
  );
}
