import type { VNode } from "preact";
import { useCallback, useMemo, useState } from "preact/hooks";
import type { Activity, Message, Messages, Outcome } from "../../api.ts";
import { useLive, useMessages } from "../live.ts";
import { Age, AgeOf } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Chart, type Series } from "../parts/chart.tsx";
import { Command, Id } from "../parts/copy.tsx";
import { Empty, Load } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { hrefOf } from "../route.ts";
import { type Loaded, useLoaded } from "../server.ts";
import { count, megabytes, milliseconds, OUTCOMES } from "../words.ts";

const SPANS: readonly (readonly [name: string, minutes: number])[] = [
  ["1 h", 60],
  ["6 h", 360],
  ["24 h", 1440],
];

const COLOURS: Readonly<Record<Outcome, string>> = {
  applied: "--good",
  stale: "--line-strong",
  ignored: "--line",
  discarded: "--warn",
  failed: "--bad",
  unreadable: "--accent",
};

export function Overview(): VNode {
  const { status } = useLive();
  const [minutes, setMinutes] = useState(60);
  const activity = useLoaded<Activity>(`/api/activity?minutes=${minutes}`, 10_000);
  const isFresh = status !== null && status.events.last_seconds === null;
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Overview</h1>
        {!isFresh && (
          <div class="actions chips" role="group" aria-label="Time span of the charts">
            {SPANS.map(([name, each]) => (
              <button
                key={name}
                type="button"
                class="chip"
                aria-pressed={minutes === each}
                onClick={() => setMinutes(each)}
              >
                {name}
              </button>
            ))}
          </div>
        )}
      </div>
      <Breaches />
      {isFresh ? <FirstSteps /> : (
        <>
          <div class="grid-2">
            <section class="card">
              <header>
                <h2>Deliveries per minute</h2>
              </header>
              <div class="body">
                <Load from={activity}>
                  {(value) => <PerMinute activity={value} minutes={minutes} />}
                </Load>
              </div>
            </section>
            <section class="card">
              <header>
                <h2>From Clerk's event to the row</h2>
              </header>
              <div class="body">
                <Load from={activity}>
                  {(value) => <Latency activity={value} minutes={minutes} />}
                </Load>
              </div>
            </section>
          </div>
          <Newest />
        </>
      )}
      <div class="grid-2">
        <Rows />
        <Versions />
      </div>
    </div>
  );
}

/** What is wrong, each with its cure. */
function Breaches(): VNode | null {
  const { status } = useLive();
  if (status === null || status.breaches.length < 2) return null;
  return (
    <section class="card">
      <header>
        <h2>What is wrong</h2>
      </header>
      <div class="table-wrap">
        <table>
          <tbody>
            {status.breaches.map(({ code, sentence, cure }) => (
              <tr key={`${code} ${sentence}`}>
                <td>
                  <Badge word={code} tone="bad" />
                </td>
                <td>
                  {sentence}
                  <div class="muted">{cure}</div>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function FirstSteps(): VNode {
  const { can_try } = useProject();
  return (
    <section class="card">
      <header>
        <h2>What to do next</h2>
      </header>
      <div class="body">
        {can_try
          ? (
            <ol class="steps">
              <li>
                <h3>Send an event as Clerk would</h3>
                <p class="muted">
                  It is signed, verified and written to <code>profiles</code>, and shows up here.
                </p>
                <div class="row">
                  <a class="button primary" href={hrefOf("try")}>Try an event</a>
                </div>
                <Command words="send user.created" />
              </li>
              <li>
                <h3>Read the row as that user</h3>
                <p class="muted">
                  <a href={hrefOf("view-as")}>View as</a>{" "}
                  asks with their session token, so row-level security decides.
                </p>
              </li>
              <li>
                <h3>Bring your own users</h3>
                <p class="muted">With CLERK_SECRET_KEY set, this reads them from Clerk's API.</p>
                <Command words="backfill" />
              </li>
            </ol>
          )
          : (
            <ol class="steps">
              <li>
                <h3>Tell Clerk where the webhook is</h3>
                <p class="muted">
                  In Clerk's dashboard, under Webhooks, add the endpoint of{" "}
                  <code>clerk-webhook</code>, and set its signing secret here.
                </p>
              </li>
              <li>
                <h3>Bring the users who already exist</h3>
                <Command words="backfill" />
              </li>
              <li>
                <h3>See that all is well</h3>
                <Command words="status" />
              </li>
            </ol>
          )}
      </div>
    </section>
  );
}

/** Every minute of the span, also those in which nothing happened. */
function timesOf({ from }: Activity, minutes: number): number[] {
  const start = Math.floor(Date.parse(from) / 60_000) * 60;
  return Array.from({ length: minutes + 1 }, (_, index) => start + index * 60);
}

function PerMinute(
  { activity, minutes }: { readonly activity: Activity; readonly minutes: number },
): VNode {
  const times = useMemo(() => timesOf(activity, minutes), [activity]);
  const series = useMemo(() => {
    const byTime = new Map(activity.minutes.map((each) => [Date.parse(each.at) / 1000, each]));
    return OUTCOMES
      .filter((outcome) =>
        outcome === "applied" || activity.minutes.some((each) => each[outcome] > 0)
      )
      .map((outcome): Series => ({
        name: outcome,
        colour: COLOURS[outcome],
        values: times.map((time) => byTime.get(time)?.[outcome] ?? 0),
      }));
  }, [activity]);
  return (
    <>
      <Chart
        label="Deliveries per minute, by their outcome now"
        kind="bars"
        times={times}
        series={series}
        format={count}
        empty={
          <Empty title="No delivery in this time">
            <p>Deliveries are drawn here as they come in.</p>
          </Empty>
        }
      />
      {!activity.is_whole && <p class="muted">Only the newest 100,000 messages are counted.</p>}
    </>
  );
}

function Latency(
  { activity, minutes }: { readonly activity: Activity; readonly minutes: number },
): VNode {
  const times = useMemo(() => timesOf(activity, minutes), [activity]);
  const series = useMemo((): Series[] => {
    const byTime = new Map(activity.latency.map((each) => [Date.parse(each.at) / 1000, each]));
    return [
      {
        name: "median",
        colour: "--accent",
        values: times.map((time) => byTime.get(time)?.median_ms ?? null),
      },
      {
        name: "p95",
        colour: "--warn",
        dash: [4, 3],
        values: times.map((time) => byTime.get(time)?.p95_ms ?? null),
      },
    ];
  }, [activity]);
  return (
    <Chart
      label="Time from Clerk's event to the committed row, per minute"
      kind="lines"
      times={times}
      series={series}
      format={milliseconds}
      empty={
        <Empty title="Nothing was applied in this time">
          <p>The time from Clerk's event to the committed row is drawn here.</p>
        </Empty>
      }
    />
  );
}

const NEWEST = 8;

/** The last deliveries, live, and those that wait for somebody. */
function Newest(): VNode {
  const newest = useLoaded<Messages>(`/api/messages?limit=${NEWEST}`);
  const failing = useLoaded<Messages>(
    `/api/messages?outcome=failed,unreadable&limit=${NEWEST}`,
    10_000,
  );
  const reload = useCallback(() => newest.reload(), [newest.reload]);
  useMessages(reload);
  return (
    <div class="grid-2">
      <MessageCard
        title="Newest deliveries"
        from={newest}
        all={hrefOf("deliveries")}
        empty="No delivery yet"
      />
      <MessageCard
        title="Failed and unreadable"
        from={failing}
        all={hrefOf("deliveries", { outcome: "failed,unreadable" })}
        empty="Nothing waits for you"
      />
    </div>
  );
}

function MessageCard(
  { title, from, all, empty }: {
    readonly title: string;
    readonly from: Loaded<Messages>;
    readonly all: string;
    readonly empty: string;
  },
): VNode {
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
        <a class="end" href={all} aria-label={`${title}: show all`}>Show all</a>
      </header>
      <Load from={from}>
        {({ messages }) =>
          messages.length === 0 ? <Empty title={empty} /> : (
            <div class="table-wrap">
              <table class="newest">
                <tbody>
                  {messages.map((message) => (
                    <MessageRow key={message.message_id} message={message} />
                  ))}
                </tbody>
              </table>
            </div>
          )}
      </Load>
    </section>
  );
}

function MessageRow(
  { message: { message_id, type, object_id, outcome, received_at } }: { readonly message: Message },
): VNode {
  return (
    <tr>
      <td>
        <Badge word={outcome} />
      </td>
      <td class="id-cell">
        <a href={hrefOf("deliveries", { id: message_id })}>{type ?? "no type"}</a>
        <div class="muted">
          <Id id={object_id ?? message_id} isPlain />
        </div>
      </td>
      <td class="number muted">
        <Age at={received_at} />
      </td>
    </tr>
  );
}

function Rows(): VNode {
  const { status, statusAt } = useLive();
  const { has_clerk } = useProject();
  const { rows = null, bytes = {}, runs } = status ?? {};
  return (
    <section class="card">
      <header>
        <h2>Rows</h2>
        <a class="end" href={hrefOf("runs")}>Runs</a>
      </header>
      <div class="body stack">
        {rows === null
          ? (
            <p class="muted">
              {has_clerk
                ? "Clerk's own counts cannot be read at the moment."
                : "Set CLERK_SECRET_KEY to compare the rows with Clerk's own counts."}
            </p>
          )
          : (
            <dl class="pairs">
              {Object.entries(rows).map(([kind, { here, clerk }]) => (
                <Pair
                  key={kind}
                  name={`${kind}s`}
                  text={here === clerk
                    ? `${count(here)}, as at Clerk`
                    : `${count(here)} here, ${count(clerk)} at Clerk`}
                />
              ))}
            </dl>
          )}
        <dl class="pairs">
          {runs !== undefined && (
            <>
              <dt>Last reconcile</dt>
              <dd>
                <AgeOf seconds={runs.reconcile_seconds} since={statusAt} />
              </dd>
            </>
          )}
          {Object.entries(bytes).map(([name, size]) => (
            <Pair key={name} name={name} text={megabytes(size)} />
          ))}
        </dl>
      </div>
    </section>
  );
}

function Pair({ name, text }: { readonly name: string; readonly text: string }): VNode {
  return (
    <>
      <dt>{name}</dt>
      <dd class="number">{text}</dd>
    </>
  );
}

function Versions(): VNode {
  const { versions: { schema, code, cli }, installation, url, command, env_flag } = useProject();
  const differ = [schema, cli, code ?? cli].some((each) => each !== schema);
  return (
    <section class="card">
      <header>
        <h2>Versions</h2>
      </header>
      <div class="body stack">
        <dl class="pairs">
          <Pair
            name="Schema"
            text={`${schema}${installation === "installed" ? "" : ` (${installation})`}`}
          />
          <Pair name="Functions" text={code ?? "deployed elsewhere, not known here"} />
          <Pair name="Command line" text={cli} />
          <Pair name="Project" text={url} />
        </dl>
        {differ && (
          <p class="muted">
            They differ. Run <code>{command} upgrade{env_flag}</code>, and deploy what it writes.
          </p>
        )}
        <Command words="status" />
      </div>
    </section>
  );
}
