import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Queue, QueuedChange, Redriven } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Table } from "../parts/card.tsx";
import { Chart } from "../parts/chart.tsx";
import { Command, ShortId } from "../parts/copy.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Empty, Load } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { post, useLoaded } from "../ask.ts";
import { count, counted, duration } from "../words.ts";

/** What was announced and is not done: the queue, its handlers' tries, and its dead letters. */
export function Downstream(): VNode {
  const queue = useLoaded<Queue>("/api/queue", 2000);
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Downstream</h1>
        <p>
          Every real change of a row is announced on the queue, and the worker passes it to your
          handlers.
        </p>
      </div>
      <Load from={queue}>{(value) => <QueueView queue={value} onChange={queue.reload} />}</Load>
    </div>
  );
}

function QueueView(
  { queue: { counts, changes, depth, command }, onChange }: {
    readonly queue: Queue;
    readonly onChange: () => void;
  },
): VNode {
  const [isAsking, setAsking] = useState(false);
  const dead = changes.filter(({ state }) => state === "dead");
  const waiting = changes.filter(({ state }) => state !== "dead");
  const all = counts.waiting + counts.in_flight + counts.retrying;
  const figures = [
    ["waiting", count(counts.waiting)],
    ["in flight", count(counts.in_flight)],
    ["retrying", count(counts.retrying)],
    ["dead", count(counts.dead)],
    ["oldest", counts.oldest_seconds === null ? "–" : duration(counts.oldest_seconds)],
  ] as const;
  return (
    <>
      <dl class="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd data-level={name === "dead" && value !== "0" ? "bad" : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
      {counts.dead > 0 && (
        <Card
          title="Dead letters"
          beside={
            <>
              <span class="muted">They failed too often and are not tried again.</span>
              <button type="button" class="button end" onClick={() => setAsking(true)}>
                Redrive…
              </button>
            </>
          }
        >
          <Changes changes={dead} />
        </Card>
      )}
      <Card
        title="On the queue"
        beside={all > waiting.length && (
          <span class="muted">{count(waiting.length)} of {count(all)} are shown</span>
        )}
      >
        {waiting.length === 0
          ? (
            <Empty title="The queue is empty">
              <p>Every announced change is done{counts.dead > 0 && ", or dead"}.</p>
              <Command words="work --status" />
            </Empty>
          )
          : <Changes changes={waiting} />}
      </Card>
      <Card title="Depth of the queue">
        <Body>
          <Chart
            label="Changes that were not done"
            kind="lines"
            times={depth.map(([at]) => at)}
            series={[{
              name: "changes that are not done",
              colour: "--accent",
              values: depth.map(([, number]) => number),
            }]}
            format={count}
            empty={
              <Empty title="Nothing has waited yet">
                <p>The depth is recorded while a page of the console is open.</p>
              </Empty>
            }
          />
        </Body>
      </Card>
      {isAsking && (
        <Confirm
          title={`Redrive ${counted(counts.dead, "dead letter")}?`}
          command={command}
          verb="Redrive"
          onDo={async () => {
            const { redriven } = await post<Redriven>("/api/redrive", {});
            onChange();
            return `${counted(redriven, "change is", "changes are")} on the queue again.`;
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            They go back to the queue with all their tries. A handler that has seen one before gets
            it again, under the same idempotency key.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Changes({ changes }: { readonly changes: readonly QueuedChange[] }): VNode {
  return (
    <Table
      head={["State", "Change", "Caused by", "Failed with", "Tries", "Next", "Since"]}
      numbersFrom={4}
    >
      {changes.map((change) => <ChangeRow key={`${change.state} ${change.id}`} change={change} />)}
    </Table>
  );
}

function ChangeRow({ change }: { readonly change: QueuedChange }): VNode {
  const { state, topic, object_id, changed, caused_by, via, reads, handler } = change;
  return (
    <tr>
      <td>
        <Badge word={state} />
      </td>
      <td>
        {topic ?? "not readable"}{" "}
        {object_id !== null && (
          <a href={hrefOf("timeline", { q: object_id })}>
            <ShortId id={object_id} />
          </a>
        )}
        {topic?.endsWith(".updated") && <div class="muted">{(changed ?? []).join(", ")}</div>}
      </td>
      <td>
        {caused_by === null
          ? <span class="muted">{via ?? "an edit by hand"}</span>
          : (
            <a href={hrefOf("deliveries", { id: caused_by })}>
              <ShortId id={caused_by} />
            </a>
          )}
      </td>
      <td>
        {change.error_class ?? <span class="muted">–</span>}
        {handler !== null && <div class="muted">{handler}</div>}
      </td>
      <td class="number">{reads}</td>
      <td class="number muted">{change.next_at === null ? "–" : <Age at={change.next_at} />}</td>
      <td class="number muted">
        <Age at={change.enqueued_at} />
      </td>
    </tr>
  );
}
