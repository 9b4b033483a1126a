import type { VNode } from "preact";
import type {
  Announcement,
  Explained,
  ExplainedEvent,
  ExplainedObject,
  People,
} from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Command, Id } from "../parts/copy.tsx";
import { Diff, Value } from "../parts/diff.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { hrefOf, useRoute } from "../route.ts";
import { useLoaded } from "../server.ts";
import { counted, dateTime, spaced, toneOf } from "../words.ts";

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
          Why a row looks as it does: every event about it, what each changed, what was announced,
          and what became of that.
        </p>
      </div>
      {q === ""
        ? (
          <Empty title="Search for somebody or something">
            <p>
              An e-mail address, a name, or the id of a user, an organization, a membership or an
              invitation. Press <kbd>/</kbd> to search from anywhere.
            </p>
            <Command words="explain user_…" />
          </Empty>
        )
        : (
          <Load from={explained}>
            {({ objects, hint }) =>
              objects.length === 0
                ? <Unknown q={q} hint={hint} />
                : objects.map((object) => <ObjectCard key={object.id} object={object} />)}
          </Load>
        )}
    </div>
  );
}

/** Perhaps it is a name: those who have it. */
function Unknown({ q, hint }: { readonly q: string; readonly hint: string | undefined }): VNode {
  const { can_view_as } = useProject();
  const isName = can_view_as && !/^(?:user|org|orgmem|orginv)_|@/.test(q);
  const named = useLoaded<People>(isName ? `/api/people?text=${encodeURIComponent(q)}` : null);
  const people = named.value?.people ?? [];
  if (isName && named.isLoading) return <p class="loading" role="status">Loading…</p>;
  if (people.length === 0) {
    return (
      <Empty title="Nothing is known of that">
        <p>{hint ?? `There is no row, no event and no deletion of ${q}.`}</p>
      </Empty>
    );
  }
  return (
    <section class="card">
      <header>
        <h2>{counted(people.length, "person", "people")} for “{q}”</h2>
      </header>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Address</th>
              <th scope="col">Id</th>
            </tr>
          </thead>
          <tbody>
            {people.map(({ id, name, email }) => (
              <tr key={id}>
                <td>
                  <a href={hrefOf("timeline", { q: id })}>{name ?? "no name"}</a>
                </td>
                <td>{email ?? "–"}</td>
                <td class="id-cell">
                  <Id id={id} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function ObjectCard({ object }: { readonly object: ExplainedObject }): VNode {
  const { id, kind, verdict, row, differs, events, more_events, left } = object;
  return (
    <>
      <section class="card">
        <header>
          <h2>{kind}</h2>
          <Id id={id} />
          <span class="end">
            <a href={hrefOf("deliveries", { text: id })}>Its deliveries</a>
          </span>
        </header>
        <div class="body stack">
          <p>{verdict}</p>
          {(differs ?? []).length > 0 && (
            <Note tone="warn">
              <p>
                <strong>Something else than the sync has changed since:</strong>
              </p>
              <Diff changes={differs ?? []} />
            </Note>
          )}
          {row !== null && <RowOf row={row} />}
          <Command words={`explain ${id}`} />
        </div>
      </section>
      {left !== null && <Left left={left} />}
      <section class="card">
        <header>
          <h2>{events.length === 0 ? "The inbox has no event of it" : "Events, newest first"}</h2>
          {more_events > 0 && (
            <span class="muted">{counted(more_events, "older one")} not shown</span>
          )}
        </header>
        <Events object={object} />
      </section>
    </>
  );
}

/** The columns that hold something, and the names of the others. */
function RowOf({ row }: { readonly row: Readonly<Record<string, unknown>> }): VNode {
  const isEmpty = (value: unknown): boolean =>
    value === null || value === false || /^(?:\[\]|\{\}|"")$/.test(JSON.stringify(value));
  const names = Object.keys(row).filter((name) => name !== "id").sort();
  const empty = names.filter((name) => isEmpty(row[name]));
  return (
    <details class="more" open>
      <summary>The row</summary>
      <dl class="pairs">
        {names.filter((name) => !isEmpty(row[name])).map((name) => (
          <>
            <dt key={`${name} name`} class="mono">{name}</dt>
            <dd key={name} class="mono">
              <Value value={row[name]} />
            </dd>
          </>
        ))}
        {empty.length > 0 && (
          <>
            <dt>empty</dt>
            <dd class="muted">{empty.join(", ")}</dd>
          </>
        )}
      </dl>
    </details>
  );
}

function Left({ left }: { readonly left: NonNullable<ExplainedObject["left"]> }): VNode {
  return (
    <section class="card">
      <header>
        <h2>What is left of it</h2>
      </header>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Table</th>
              <th scope="col" class="number">Rows</th>
              <th scope="col">They hold</th>
            </tr>
          </thead>
          <tbody>
            {left.map(({ table, rows, holds }) => (
              <tr key={table}>
                <td class="mono">{table}</td>
                <td class="number">{rows}</td>
                <td>{rows === 0 ? "–" : holds}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Events(
  { object: { events, announced, made_by } }: { readonly object: ExplainedObject },
): VNode {
  const known = new Set<string | null>(events.map(({ message_id }) => message_id));
  const besides = announced.filter(({ caused_by }) => !known.has(caused_by));
  return (
    <>
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
      {besides.length > 0 && (
        <div class="body stack">
          <h3>Announced by other means</h3>
          {besides.map((each) => (
            <Announced
              key={`${each.enqueued_at} ${each.topic}`}
              announcement={each}
              cause={causeOf(each)}
            />
          ))}
        </div>
      )}
    </>
  );
}

function causeOf({ caused_by, via }: Announcement): string {
  return caused_by ?? (via === "ensure_profile" ? "ensure_profile()" : via) ?? "an edit by hand";
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
        <span class="muted number" title={ordered_at}>{dateTime(ordered_at)}</span>
        <span class="muted">
          <Age at={ordered_at} />
        </span>
      </div>
      <p>{why}{deliveries > 1 && ` Delivered ${deliveries} times.`}</p>
      <div class="muted">
        <Id id={message_id} />
      </div>
      {changes_unknown !== null && (
        <p class="muted">What it changed is not known. {changes_unknown}</p>
      )}
      {changes?.length === 0 && <p class="muted">It changed no column but updated_at.</p>}
      {changes !== null && changes.length > 0 && <Diff changes={changes} />}
      {announced.map((each) => (
        <Announced key={`${each.topic} ${each.enqueued_at}`} announcement={each} />
      ))}
    </li>
  );
}

/** What a change put on the queue, and what became of it there. */
function Announced(
  { announcement, cause }: { readonly announcement: Announcement; readonly cause?: string },
): VNode {
  const { topic, changed, state } = announcement;
  return (
    <div class="announced">
      <span class="muted">Announced</span>
      <span class="mono">{topic}</span>
      {topic.endsWith(".updated") && <span class="muted">({(changed ?? []).join(", ")})</span>}
      {cause !== undefined && <span class="muted">by {cause}</span>}
      <Badge word={spaced(state)} tone={toneOf(state)} />
      <span class="muted">{fateOf(announcement)}</span>
    </div>
  );
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
