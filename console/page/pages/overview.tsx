import type { VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Activity, Messages, Outcome } from "../../api.ts";
import { useLive, useMessages } from "../live.ts";
import { Age, AgeOf } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Pair, Table } from "../parts/card.tsx";
import { Chart, type Series } from "../parts/chart.tsx";
import { Command, ShortId } from "../parts/copy.tsx";
import { FirstSteps } from "../parts/next_steps.tsx";
import { Empty, Load, Sentence } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { hrefOf } from "../route.ts";
import { type Loaded, useLoaded } from "../ask.ts";
import { count, megabytes, milliseconds, OUTCOMES, rowsText } from "../words.ts";

const SPANS: readonly (readonly [name: string, minutes: number])[] = [
  ["1 h", 60],
  ["6 h", 360],
  ["24 h", 1440],
];

const COLOURS: Readonly<Record<Outcome, string>> = {
  applied: "--good",
  stale: "--line-strong",
  ignored: "--quiet",
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
      {isFresh
        ? (
          <Card title="What to do next">
            <Body>
              <FirstSteps />
            </Body>
          </Card>
        )
        : (
          <>
            <div class="grid-2">
              <Card title="Deliveries per minute">
                <Body>
                  <Load from={activity}>
                    {(value) => <PerMinute activity={value} minutes={minutes} />}
                  </Load>
                </Body>
              </Card>
              <Card title="From Clerk's event to the row">
                <Body>
                  <Load from={activity}>
                    {(value) => <Latency activity={value} minutes={minutes} />}
                  </Load>
                </Body>
              </Card>
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

/** What is wrong, each with its cure; the first is in the line above. */
function Breaches(): VNode | null {
  const { status } = useLive();
  if (status === null || status.breaches.length < 2) return null;
  return (
    <Card title="What is wrong">
      <Table>
        {status.breaches.map(({ code, sentence, cure }) => (
          <tr key={sentence}>
            <td>
              <Badge word={code} tone="bad" />
            </td>
            <td class="wrap">
              <Sentence text={sentence} />
              <div class="muted">
                <Sentence text={cure} />
              </div>
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

interface ActivityProps {
  readonly activity: Activity;
  readonly minutes: number;
}

/** Every minute of the span, also those in which nothing happened. */
function timesOf({ activity: { from }, minutes }: ActivityProps): number[] {
  const start = Math.floor(Date.parse(from) / 60_000) * 60;
  return Array.from({ length: minutes + 1 }, (_, index) => start + index * 60);
}

function byTime<Each extends { readonly at: string }>(
  list: readonly Each[],
): (time: number) => Each | undefined {
  const map = new Map(list.map((each) => [Date.parse(each.at) / 1000, each]));
  return (time) => map.get(time);
}

function PerMinute(props: ActivityProps): VNode {
  const { activity: { minutes, is_whole } } = props;
  const times = useMemo(() => timesOf(props), [props.activity]);
  const series = useMemo(() => {
    const at = byTime(minutes);
    return OUTCOMES
      .filter((outcome) => outcome === "applied" || minutes.some((each) => each[outcome] > 0))
      .map((outcome): Series => ({
        name: outcome,
        colour: COLOURS[outcome],
        values: times.map((time) => at(time)?.[outcome] ?? 0),
      }));
  }, [props.activity]);
  return (
    <>
      <Chart
        label="Deliveries per minute, by their outcome now"
        kind="bars"
        times={times}
        series={series}
        format={count}
        empty={<Empty title="No delivery in this time" />}
      />
      {!is_whole && <p class="muted">Only the newest 100,000 messages are counted.</p>}
    </>
  );
}

function Latency(props: ActivityProps): VNode {
  const { activity: { latency } } = props;
  const times = useMemo(() => timesOf(props), [props.activity]);
  const series = useMemo((): Series[] => {
    const at = byTime(latency);
    return [
      {
        name: "median",
        colour: "--accent",
        values: times.map((time) => at(time)?.median_ms ?? null),
      },
      {
        name: "p95",
        colour: "--warn",
        dash: [4, 3],
        values: times.map((time) => at(time)?.p95_ms ?? null),
      },
    ];
  }, [props.activity]);
  return (
    <Chart
      label="Time from Clerk's event to the committed row, per minute"
      kind="lines"
      times={times}
      series={series}
      format={milliseconds}
      empty={<Empty title="Nothing was applied in this time" />}
    />
  );
}

/** Messages in each of the two lists. */
const NEWEST = 8;

/** The last deliveries, live, and those that wait for somebody. */
function Newest(): VNode {
  const newest = useLoaded<Messages>(`/api/messages?limit=${NEWEST}`);
  const failing = useLoaded<Messages>(
    `/api/messages?outcome=failed,unreadable&limit=${NEWEST}`,
    10_000,
  );
  useMessages(newest.reload);
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
        empty="Nothing is failed or unreadable"
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
    <Card
      title={title}
      beside={<a class="end" href={all} aria-label={`${title}: show all`}>Show all</a>}
    >
      <Load from={from}>
        {({ messages }) =>
          messages.length === 0 ? <Empty title={empty} /> : (
            <Table>
              {messages.map(({ message_id, type, object_id, outcome, received_at }) => (
                <tr key={message_id}>
                  <td>
                    <Badge word={outcome} />
                  </td>
                  <td>
                    <a href={hrefOf("deliveries", { id: message_id })}>{type ?? "no type"}</a>
                    <div class="muted">
                      <ShortId id={object_id ?? message_id} />
                    </div>
                  </td>
                  <td class="number muted">
                    <Age at={received_at} />
                  </td>
                </tr>
              ))}
            </Table>
          )}
      </Load>
    </Card>
  );
}

function Rows(): VNode {
  const { status, statusAt } = useLive();
  const { has_clerk } = useProject();
  const { rows = null, bytes = {}, runs } = status ?? {};
  return (
    <Card
      title={rows === null ? "Sizes" : "Rows and sizes"}
      beside={<a class="end" href={hrefOf("runs")}>Runs</a>}
    >
      <Body>
        <dl class="pairs">
          {Object.entries(rows ?? {}).map(([kind, each]) => (
            <Pair key={kind} name={`${kind}s`}>{rowsText(each)}</Pair>
          ))}
          {runs !== undefined && (
            <Pair name="Last reconcile">
              <AgeOf seconds={runs.reconcile_seconds} since={statusAt} />
            </Pair>
          )}
          {Object.entries(bytes).map(([name, size]) => (
            <Pair key={name} name={name}>{megabytes(size)}</Pair>
          ))}
        </dl>
        {rows === null && (
          <p class="muted">
            {has_clerk
              ? "Clerk's own counts cannot be read at the moment."
              : "Set CLERK_SECRET_KEY to compare the rows with Clerk's own counts."}
          </p>
        )}
      </Body>
    </Card>
  );
}

function Versions(): VNode {
  const { versions: { schema, code, cli }, installation, url } = useProject();
  return (
    <Card title="Versions">
      <Body>
        <dl class="pairs">
          <Pair name="Schema">{schema}{installation !== "installed" && ` (${installation})`}</Pair>
          <Pair name="Functions">{code ?? "deployed elsewhere, not known here"}</Pair>
          <Pair name="Command line">{cli}</Pair>
          <Pair name="Project">{url}</Pair>
        </dl>
        {(schema !== cli || (code ?? cli) !== cli) && (
          <p class="muted">
            They differ. Run <code>upgrade</code>, and deploy what it writes.
          </p>
        )}
        <Command words="status" />
      </Body>
    </Card>
  );
}
