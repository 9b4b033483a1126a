import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Queue, QueuedChange, Redriven } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Chart } from "../parts/chart.tsx";
import { Command, CommandLine, Id } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { hrefOf } from "../route.ts";
import { post, ServerError, useLoaded } from "../server.ts";
import { count, counted, duration, spaced, toneOf } from "../words.ts";

/** What was announced and is not done: the queue, its handlers' tries, and its dead letters. */
export function Downstream(): VNode {
  const queue = useLoaded<Queue>("/api/queue", 2000);
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Downstream</h1>
        <p>
          Every real change of a row is announced on the queue clerk_changes, and the worker hands
          it to your handlers.
        </p>
      </div>
      <Load from={queue}>{(value) => <QueueView queue={value} onChange={queue.reload} />}</Load>
    </div>
  );
}

function QueueView(
  { queue, onChange }: { readonly queue: Queue; readonly onChange: () => void },
): VNode {
  const { counts, changes, depth, command } = queue;
  const [isAsking, setAsking] = useState(false);
  const dead = changes.filter(({ state }) => state === "dead");
  const waiting = changes.filter(({ state }) => state !== "dead");
  const all = counts.waiting + counts.in_flight + counts.retrying;
  return (
    <>
      <dl class="figures">
        <Figure name="waiting" value={count(counts.waiting)} />
        <Figure name="in flight" value={count(counts.in_flight)} />
        <Figure name="retrying" value={count(counts.retrying)} />
        <Figure name="dead" value={count(counts.dead)} isBad={counts.dead > 0} />
        <Figure
          name="oldest"
          value={counts.oldest_seconds === null ? "–" : duration(counts.oldest_seconds)}
        />
      </dl>
      <section class="card">
        <header>
          <h2>Depth of the queue</h2>
        </header>
        <div class="body">
          <Chart
            label="Changes that were not done, since this page was opened"
            kind="lines"
            times={depth.map(([at]) => at)}
            series={[{
              name: "not done",
              colour: "--accent",
              values: depth.map(([, number]) => number),
            }]}
            format={count}
            empty={
              <Empty title="The queue has been empty">
                <p>Its depth is drawn here while this page is open.</p>
              </Empty>
            }
          />
        </div>
      </section>
      {counts.dead > 0 && (
        <section class="card">
          <header>
            <h2>Dead letters</h2>
            <span class="muted">They failed too often, and nobody tries them any more.</span>
            <button type="button" class="button end" onClick={() => setAsking(true)}>
              Redrive…
            </button>
          </header>
          <Changes changes={dead} />
        </section>
      )}
      <section class="card">
        <header>
          <h2>On the queue</h2>
          {all > waiting.length && (
            <span class="muted">The first {count(waiting.length)} of {count(all)}</span>
          )}
        </header>
        {waiting.length === 0
          ? (
            <Empty title="Nothing waits">
              <p>Every change that was announced is done{counts.dead > 0 ? ", or dead" : ""}.</p>
              <Command words="work --status" />
            </Empty>
          )
          : <Changes changes={waiting} />}
      </section>
      {isAsking && (
        <RedriveDialog
          dead={counts.dead}
          command={command}
          onClose={() => {
            setAsking(false);
            onChange();
          }}
        />
      )}
    </>
  );
}

function Figure(
  { name, value, isBad = false }: {
    readonly name: string;
    readonly value: string;
    readonly isBad?: boolean;
  },
): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-level={isBad ? "bad" : undefined}>{value}</dd>
    </div>
  );
}

function Changes({ changes }: { readonly changes: readonly QueuedChange[] }): VNode {
  return (
    <div class="table-wrap">
      <table>
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Change</th>
            <th scope="col">Caused by</th>
            <th scope="col">Handler</th>
            <th scope="col" class="number">Tries</th>
            <th scope="col" class="number">Next</th>
            <th scope="col" class="number">Since</th>
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <ChangeRow key={`${change.state} ${change.id}`} change={change} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ChangeRow({ change }: { readonly change: QueuedChange }): VNode {
  const {
    state,
    topic,
    object_id,
    changed,
    caused_by,
    via,
    enqueued_at,
    next_at,
    reads,
    handler,
    error_class,
  } = change;
  return (
    <tr>
      <td>
        <Badge word={spaced(state)} tone={toneOf(state)} />
      </td>
      <td class="id-cell">
        {topic ?? "not readable"}
        {object_id !== null && (
          <div class="muted">
            <a class="plain" href={hrefOf("timeline", { q: object_id })}>
              <Id id={object_id} isPlain />
            </a>
          </div>
        )}
        {(changed ?? []).length > 0 && <div class="muted">{(changed ?? []).join(", ")}</div>}
      </td>
      <td class="id-cell muted">
        {caused_by === null
          ? via ?? "an edit"
          : caused_by.startsWith("msg_")
          ? (
            <a class="plain" href={hrefOf("deliveries", { id: caused_by })}>
              <Id id={caused_by} isPlain />
            </a>
          )
          : caused_by}
      </td>
      <td>
        {handler ?? (state === "dead" ? "" : "–")}
        {error_class !== null && <div class={state === "dead" ? "" : "muted"}>{error_class}</div>}
      </td>
      <td class="number">{reads}</td>
      <td class="number muted">{next_at === null ? "–" : <Age at={next_at} />}</td>
      <td class="number muted">
        <Age at={enqueued_at} />
      </td>
    </tr>
  );
}

function RedriveDialog(
  { dead, command, onClose }: {
    readonly dead: number;
    readonly command: string;
    readonly onClose: () => void;
  },
): VNode {
  const [said, setSaid] = useState<{ text: string; isBad: boolean } | null>(null);
  const redrive = async (): Promise<void> => {
    try {
      const { redriven } = await post<Redriven>("/api/redrive", {});
      setSaid({
        text: `${counted(redriven, "change is", "changes are")} on the queue again.`,
        isBad: false,
      });
    } catch (error) {
      setSaid({ text: error instanceof ServerError ? error.message : String(error), isBad: true });
    }
  };
  return (
    <Dialog title={`Redrive ${counted(dead, "dead letter")}?`} onClose={onClose}>
      <p>
        They go back to the queue with all their tries. A handler that has seen one before gets it
        again, with the same idempotency key.
      </p>
      <CommandLine text={command} />
      {said !== null &&
        (said.isBad ? <Note tone="bad">{said.text}</Note> : <p role="status">{said.text}</p>)}
      <div class="actions">
        <button type="button" class="button" onClick={onClose}>
          {said === null ? "Cancel" : "Done"}
        </button>
        {said === null && (
          <button type="button" class="button primary" onClick={redrive}>Redrive</button>
        )}
      </div>
    </Dialog>
  );
}
