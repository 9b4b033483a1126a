import type { VNode } from "preact";
import type { Announcement, Explained, ExplainedEvent, ExplainedObject } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Pair, Table } from "../parts/card.tsx";
import { Command, Id } from "../parts/copy.tsx";
import { Diff, Value } from "../parts/diff.tsx";
import { Empty, Load, Note, Sentence } from "../parts/states.tsx";
import { hrefOf, useRoute } from "../route.ts";
import { useLoaded } from "../ask.ts";
import { counted, dateTime, toneOf, valueText } from "../words.ts";

/** Why a row looks as it does. */
export function Timeline(): VNode {
  const { values: { q = "" } } = useRoute();
  const explained = useLoaded<Explained>(
    q === "" ? null : `/api/explain?q=${encodeURIComponent(q)}`,
  );
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Timeline</h1>
        <p>
          Why a row looks as it does: every event about it, what each changed, and what became of
          it.
        </p>
      </div>
      {q === ""
        ? (
          <Empty title="Search for a person or an object">
            <p>
              Enter an e-mail address, a name, or the id of a user, an organization, a membership or
              an invitation. Press <kbd>/</kbd> to search from any page.
            </p>
            <Command words="explain user_…" />
          </Empty>
        )
        : (
          <Load from={explained}>
            {({ objects: [first, ...others], hint }) => (
              <>
                {first === undefined
                  ? (
                    <Empty title="Nothing is known of that">
                      <p>{hint}</p>
                    </Empty>
                  )
                  : hint !== undefined && <Note>{hint}</Note>}
                {first !== undefined && (others.length === 0
                  ? <ObjectView object={first} />
                  : <Several objects={[first, ...others]} />)}
              </>
            )}
          </Load>
        )}
    </div>
  );
}

/** Several objects of one name or address, to choose from. */
function Several({ objects }: { readonly objects: readonly ExplainedObject[] }): VNode {
  return (
    <Card title="Matches">
      <Table head={["Name", "Address", "Id"]}>
        {objects.map(({ id, kind, row }) => (
          <tr key={id}>
            <td>
              <a href={hrefOf("timeline", { q: id })}>
                {valueText(row?.full_name ?? row?.name ?? row?.username ?? kind)}
              </a>
            </td>
            <td>{valueText(row?.email ?? row?.email_address)}</td>
            <td>
              <Id id={id} isShort />
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function ObjectView({ object }: { readonly object: ExplainedObject }): VNode {
  const { id, kind, verdict, row, differs, events, more_events, left } = object;
  return (
    <>
      <Card
        title={`${kind[0]?.toUpperCase()}${kind.slice(1)}`}
        beside={
          <>
            <Id id={id} />
            <a class="end" href={hrefOf("deliveries", { text: id })}>Its deliveries</a>
          </>
        }
      >
        <Body>
          <p>
            <Sentence text={verdict} />
          </p>
          {differs !== null && differs.length > 0 && (
            <Note tone="warn">
              <strong>Changed since by something other than the sync</strong>
              <Diff changes={differs} />
            </Note>
          )}
          <Command words={`explain ${id}`} />
        </Body>
      </Card>
      <div class={row === null ? "stack" : "grid-2 is-ragged"}>
        {row !== null && (
          <Card title="Row">
            <Body>
              <RowView row={row} />
            </Body>
          </Card>
        )}
        <Card
          title={events.length === 0 ? "The inbox has no event of it" : "Events, newest first"}
          beside={more_events > 0 && (
            <span class="muted">{counted(more_events, "older one")} not shown</span>
          )}
        >
          <EventList object={object} />
        </Card>
      </div>
      {left !== null && <LeftView left={left} />}
    </>
  );
}

function LeftView({ left }: { readonly left: NonNullable<ExplainedObject["left"]> }): VNode {
  const gone = new Set(left.filter(({ rows }) => rows === 0).map(({ table }) => table));
  const kept = left.filter(({ rows }) => rows > 0);
  return (
    <Card title="What is left of it">
      <Table head={["Table", "Holds", "Rows"]} numbersFrom={2}>
        {kept.map(({ table, rows, holds }) => (
          <tr key={`${table} ${holds}`}>
            <td class="mono">{table}</td>
            <td>{holds}</td>
            <td class="number">{rows}</td>
          </tr>
        ))}
        <tr>
          <td class="muted">nothing in</td>
          <td class="muted" colSpan={2}>
            {[...gone].filter((name) => !kept.some(({ table }) => table === name)).join(", ")}
          </td>
        </tr>
      </Table>
    </Card>
  );
}

/** The columns that hold something, and the names of the others. */
function RowView({ row }: { readonly row: Readonly<Record<string, unknown>> }): VNode {
  const isEmpty = (value: unknown): boolean =>
    value === null || value === false || /^(?:\[\]|\{\}|"")$/.test(JSON.stringify(value));
  const names = Object.keys(row).filter((name) => name !== "id").sort();
  const empty = names.filter((name) => isEmpty(row[name]));
  return (
    <dl class="pairs">
      {names.filter((name) => !isEmpty(row[name])).map((name) => (
        <Pair key={name} name={name}>
          <code>
            <Value value={row[name]} />
          </code>
        </Pair>
      ))}
      {empty.length > 0 && <Pair name="empty">{empty.join(", ")}</Pair>}
    </dl>
  );
}

function EventList(
  { object: { events, announced, made_by } }: { readonly object: ExplainedObject },
): VNode {
  const known = new Set<string | null>(events.map(({ message_id }) => message_id));
  const besides = announced.filter(({ caused_by }) => !known.has(caused_by));
  return (
    <>
      {events.length > 0 && (
        <ol class="timeline">
          {[...events].reverse().map((event) => (
            <EventItem
              key={event.message_id}
              event={event}
              hasMadeRow={event.message_id === made_by}
              announced={announced.filter(({ caused_by }) => caused_by === event.message_id)}
            />
          ))}
        </ol>
      )}
      {besides.length > 0 && (
        <Body>
          <h3>Announced by other means</h3>
          <Announcements list={besides} hasCause />
        </Body>
      )}
    </>
  );
}

function EventItem(
  { event, hasMadeRow, announced }: {
    readonly event: ExplainedEvent;
    readonly hasMadeRow: boolean;
    readonly announced: readonly Announcement[];
  },
): VNode {
  const { message_id, type, outcome, ordered_at, deliveries, why, changes, changes_unknown } =
    event;
  return (
    <li data-tone={toneOf(outcome)}>
      <div class="row">
        <a href={hrefOf("deliveries", { id: message_id })}>{type ?? "no type"}</a>
        <Badge word={outcome} />
        {hasMadeRow && <Badge word="made the row" tone="accent" />}
        <span class="muted number">
          {dateTime(ordered_at)}, <Age at={ordered_at} />
        </span>
      </div>
      <p>
        <Sentence text={why} />
        {deliveries > 1 && ` Delivered ${deliveries} times.`}
      </p>
      <div class="muted">
        <Id id={message_id} />
      </div>
      {changes_unknown !== null && (
        <p class="muted">What it changed is not known. {changes_unknown}</p>
      )}
      {changes?.length === 0 && <p class="muted">It changed no column but updated_at.</p>}
      {changes !== null && changes.length > 0 && <Diff changes={changes} />}
      <Announcements list={announced} />
    </li>
  );
}

/** What changes put on the queue, and what became of each there. */
function Announcements(
  { list, hasCause = false }: {
    readonly list: readonly Announcement[];
    readonly hasCause?: boolean;
  },
): VNode {
  return (
    <>
      {list.map((each) => (
        <div class="announced" key={`${each.topic} ${each.enqueued_at}`}>
          <span class="muted">Announced</span>
          <span class="mono">{each.topic}</span>
          {each.topic.endsWith(".updated") && (
            <span class="muted">({(each.changed ?? []).join(", ")})</span>
          )}
          {hasCause && <span class="muted">by {causeOf(each)}</span>}
          <Badge word={each.state} />
          <span class="muted">{fateOf(each)}</span>
        </div>
      ))}
    </>
  );
}

function causeOf({ caused_by, via }: Announcement): string {
  return caused_by ?? (via === "ensure_profile" ? "ensure_profile()" : via) ?? "an edit by hand";
}

function fateOf({ state, at, reads, handler, error_class }: Announcement): string {
  const when = at === null ? "" : dateTime(at);
  switch (state) {
    case "waiting":
      return reads === 0 ? "for a worker" : `for a worker, after ${counted(reads, "attempt")}`;
    case "in_flight":
      return `a worker has it, attempt ${reads}`;
    case "retrying":
      return `${handler} failed with ${error_class}, attempt ${reads}; next try ${when}`;
    case "done":
      return when;
    case "dead":
      return `with ${error_class}`;
    default:
      return state satisfies never;
  }
}
