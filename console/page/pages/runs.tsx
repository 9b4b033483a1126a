import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ReconcileEnd, ReconcileProgress, Run, Runs as RunsAnswer } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Table } from "../parts/card.tsx";
import { Command, CommandLine } from "../parts/copy.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { type Action, useAction, useLoaded } from "../ask.ts";
import { count, counted, duration } from "../words.ts";

/** How far the rows are from Clerk's, and what runs over its API have repaired. */
export function Runs(): VNode {
  const runs = useLoaded<RunsAnswer>("/api/runs", 5000);
  const { has_clerk } = useProject();
  const action = useAction<ReconcileProgress, ReconcileEnd>();
  const [isDry, setDry] = useState(true);
  const [isAsking, setAsking] = useState(false);
  const { isRunning } = action;
  const start = (dry_run: boolean): void => {
    setDry(dry_run);
    action.start("/api/reconcile", { dry_run });
  };
  useEffect(runs.reload, [isRunning]);

  return (
    <div class="sheet">
      <div class="headline">
        <h1>Runs</h1>
        <div class="actions">
          <button
            type="button"
            class="button"
            disabled={!has_clerk || isRunning}
            onClick={() => start(true)}
          >
            Compare with Clerk
          </button>
          <button
            type="button"
            class="button primary"
            disabled={!has_clerk || isRunning}
            onClick={() => setAsking(true)}
          >
            Reconcile…
          </button>
        </div>
        <p>A reconcile compares the tables with Clerk's API, and repairs what never arrived.</p>
      </div>
      {!has_clerk && (
        <Note>
          Set CLERK_SECRET_KEY in the environment of this command to start runs from here, and to
          compare the rows with Clerk's own counts.
        </Note>
      )}
      {(isRunning || action.end !== null || action.error !== null) && (
        <Progress action={action} isDry={isDry} onStop={action.stop} />
      )}
      <Load from={runs}>{(value) => <RunsView runs={value} />}</Load>
      {isAsking && (
        <Confirm
          title="Reconcile with Clerk?"
          verb="Reconcile"
          onDo={() => start(false)}
          onClose={() => setAsking(false)}
        >
          <p>
            This reads every user, organization and membership from Clerk's API, adds what is
            missing here and updates what is outdated. It deletes nothing. Changes are announced as
            usual.
          </p>
          <Command words="reconcile" />
        </Confirm>
      )}
    </div>
  );
}

function Progress(
  { action: { isRunning, items, end, error }, isDry, onStop }: {
    readonly action: Action<ReconcileProgress, ReconcileEnd>;
    readonly isDry: boolean;
    readonly onStop: () => void;
  },
): VNode {
  const newest = new Map(items.map((item) => [item.kind, item]));
  const state = isRunning ? "running" : error !== null ? "stopped" : "finished";
  return (
    <Card
      title={isDry ? "Compare with Clerk" : "Reconcile"}
      isLive
      beside={
        <>
          <Badge word={state} />
          {isRunning && (
            <button type="button" class="button small end" onClick={onStop}>Stop</button>
          )}
        </>
      }
    >
      <Body>
        {[...newest.values()].map(({ kind, done, total, repaired, waits }) => (
          <label key={kind} class="field">
            <span>
              {kind}{" "}
              <span class="muted number">
                {count(done)}
                {total !== null && ` of ${count(total)}`}
                {repaired > 0 && `, ${count(repaired)} ${isDry ? "differ" : "repaired"}`}
                {waits !== null && isRunning && `. ${waits}`}
              </span>
            </span>
            <progress value={done} {...(total === null ? {} : { max: Math.max(total, done, 1) })} />
          </label>
        ))}
        {end !== null && <p>{end.summary}</p>}
        {error !== null && <Note tone="bad">{error}</Note>}
        {end !== null && <CommandLine text={end.command} />}
      </Body>
    </Card>
  );
}

function RunsView({ runs: { runs, surplus, rows } }: { readonly runs: RunsAnswer }): VNode {
  return (
    <>
      {rows !== null && (
        <Card
          title="Rows here and at Clerk"
          beside={surplus > 0 && (
            <span class="muted">
              {counted(surplus, "object is", "objects are")} here and no longer at Clerk
            </span>
          )}
        >
          <Table head={["Kind", "Here", "At Clerk", "Drift"]} numbersFrom={1}>
            {Object.entries(rows).map(([kind, { here, clerk }]) => (
              <tr key={kind}>
                <td>{kind}s</td>
                <td class="number">{count(here)}</td>
                <td class="number">{count(clerk)}</td>
                <td class={`number ${here === clerk ? "muted" : "before"}`}>
                  {here === clerk
                    ? "none"
                    : (here > clerk ? "+" : "−") + count(Math.abs(here - clerk))}
                </td>
              </tr>
            ))}
          </Table>
        </Card>
      )}
      <Card title="Last runs">
        {runs.length === 0
          ? (
            <Empty title="Nothing has run yet">
              <p>
                A backfill brings everybody who already exists at Clerk. A nightly reconcile repairs
                what was missed.
              </p>
              <Command words="backfill" />
            </Empty>
          )
          : (
            <Table head={["Run", "State", "What it found", "Took"]} numbersFrom={3}>
              {runs.map((run) => <RunRow key={run.id} run={run} />)}
            </Table>
          )}
      </Card>
    </>
  );
}

function RunRow({ run }: { readonly run: Run }): VNode {
  const { id, kind, by, started_at, finished_at, state, dry_run, halted, problems } = run;
  return (
    <tr>
      <td>
        {kind}
        {dry_run && ", dry run"}
        <div class="muted number">#{id} by {by}</div>
        <div class="muted">
          <Age at={started_at} />
        </div>
      </td>
      <td>
        <Badge word={state} />
      </td>
      <td>
        {findingsOf(run)}
        {problems > 0 && <div>{counted(problems, "object was", "objects were")} skipped</div>}
        {halted !== null && <div class="before">{halted}</div>}
      </td>
      <td class="number">
        {finished_at === null
          ? "–"
          : duration((Date.parse(finished_at) - Date.parse(started_at)) / 1000)}
      </td>
    </tr>
  );
}

/** What a run can find that is not as at Clerk. */
const FOUND = ["missing", "outdated", "deleted", "surplus", "unreadable", "refused"] as const;

function findingsOf({ tallies }: Run): VNode | string {
  const all = Object.values(tallies);
  if (all.length === 0) return "nothing yet";
  const sum = (name: typeof FOUND[number] | "listed"): number =>
    all.reduce((total, tally) => total + tally[name], 0);
  const found = FOUND.filter((name) => sum(name) > 0).map((name) => `${count(sum(name))} ${name}`);
  return (
    <>
      {found.join(", ") || "no difference"} <div class="muted">{count(sum("listed"))} compared</div>
    </>
  );
}
