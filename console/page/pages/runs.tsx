import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import type { ReconcileEnd, ReconcileProgress, Run, Runs as RunsAnswer } from "../../api.ts";
import { Age } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Command, CommandLine } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { linesOf, request, ServerError, useLoaded } from "../server.ts";
import { count, counted, dateTime, duration } from "../words.ts";

interface Reconcile {
  readonly isDry: boolean;
  readonly kinds: ReadonlyMap<string, ReconcileProgress>;
  readonly end: ReconcileEnd | null;
  readonly error: string | null;
}

/** How far the rows are from Clerk's, and what runs over its API have repaired. */
export function Runs(): VNode {
  const runs = useLoaded<RunsAnswer>("/api/runs", 5000);
  const { has_clerk } = useProject();
  const [reconcile, setReconcile] = useState<Reconcile | null>(null);
  const [isAsking, setAsking] = useState(false);
  const stopping = useRef<AbortController | null>(null);

  const start = async (isDry: boolean): Promise<void> => {
    setAsking(false);
    stopping.current = new AbortController();
    setReconcile({ isDry, kinds: new Map(), end: null, error: null });
    try {
      const response = await request("/api/reconcile", {
        method: "POST",
        body: JSON.stringify({ dry_run: isDry }),
        signal: stopping.current.signal,
      });
      for await (const lines of linesOf<ReconcileProgress | ReconcileEnd>(response)) {
        setReconcile((last) =>
          last && ({
            ...last,
            kinds: new Map([
              ...last.kinds,
              ...lines.flatMap((line) => "kind" in line ? [[line.kind, line] as const] : []),
            ]),
            end: lines.find((line) => line.done === true) as ReconcileEnd | undefined ?? last.end,
          })
        );
      }
    } catch (error) {
      const sentence = error instanceof ServerError ? error.message : "It was stopped.";
      setReconcile((last) => last && ({ ...last, error: sentence }));
    }
    runs.reload();
  };
  const isRunning = reconcile !== null && reconcile.end === null && reconcile.error === null;

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
          <p>
            Set CLERK_SECRET_KEY in the environment of this command to start runs from here, and to
            compare the rows with Clerk's own counts.
          </p>
        </Note>
      )}
      {reconcile !== null && (
        <Progress
          reconcile={reconcile}
          isRunning={isRunning}
          onStop={() => stopping.current?.abort()}
        />
      )}
      <Load from={runs}>{(value) => <RunsView runs={value} />}</Load>
      {isAsking && (
        <Dialog title="Reconcile with Clerk?" onClose={() => setAsking(false)}>
          <p>
            This reads every user, organization and membership from Clerk's API, adds what is
            missing here and updates what is outdated. It deletes only what Clerk says is gone, and
            nothing if that is suspiciously much. Changes are announced as usual.
          </p>
          <Command words="reconcile" />
          <div class="actions">
            <button type="button" class="button" onClick={() => setAsking(false)}>Cancel</button>
            <button type="button" class="button primary" onClick={() => start(false)}>
              Reconcile
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}

function Progress(
  { reconcile: { isDry, kinds, end, error }, isRunning, onStop }: {
    readonly reconcile: Reconcile;
    readonly isRunning: boolean;
    readonly onStop: () => void;
  },
): VNode {
  return (
    <section class="card" aria-live="polite">
      <header>
        <h2>{isDry ? "Compare with Clerk" : "Reconcile"}</h2>
        <Badge
          word={isRunning
            ? "running"
            : error !== null
            ? "stopped"
            : end?.exit === 3
            ? "differences"
            : "finished"}
          {...(end?.exit === 3 ? { tone: "warn" as const } : {})}
        />
        {isRunning && <button type="button" class="button small end" onClick={onStop}>Stop</button>}
      </header>
      <div class="body stack">
        {[...kinds.values()].map(({ kind, done, total, repaired, waits }) => (
          <label key={kind} class="field">
            <span class="row">
              {kind}
              <span class="muted number">
                {count(done)}
                {total === null ? "" : ` of ${count(total)}`}
                {repaired > 0 && `, ${count(repaired)} ${isDry ? "differ" : "repaired"}`}
                {waits !== null && ` · ${waits}`}
              </span>
            </span>
            <progress value={done} {...(total === null ? {} : { max: Math.max(total, 1) })} />
          </label>
        ))}
        {end !== null && <p>{end.summary}</p>}
        {error !== null && <Note tone="bad">{error}</Note>}
        {end !== null && <CommandLine text={end.command} />}
      </div>
    </section>
  );
}

function RunsView({ runs: { runs, surplus, rows } }: { readonly runs: RunsAnswer }): VNode {
  return (
    <>
      {rows !== null && (
        <section class="card">
          <header>
            <h2>Rows here and at Clerk</h2>
            {surplus > 0 && (
              <span class="muted">
                {counted(surplus, "object is", "objects are")} here, and no longer at Clerk
              </span>
            )}
          </header>
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  <th scope="col">Kind</th>
                  <th scope="col" class="number">Here</th>
                  <th scope="col" class="number">At Clerk</th>
                  <th scope="col" class="number">Drift</th>
                </tr>
              </thead>
              <tbody>
                {Object.entries(rows).map(([kind, { here, clerk }]) => (
                  <tr key={kind}>
                    <th scope="row">{kind}s</th>
                    <td class="number">{count(here)}</td>
                    <td class="number">{count(clerk)}</td>
                    <td class="number">
                      {here === clerk ? "none" : (
                        <span class="before">
                          {here > clerk ? "+" : "−"}
                          {count(Math.abs(here - clerk))}
                        </span>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      <section class="card">
        <header>
          <h2>Last runs</h2>
        </header>
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
            <div class="table-wrap">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Run</th>
                    <th scope="col">State</th>
                    <th scope="col">What it found</th>
                    <th scope="col" class="number">Took</th>
                    <th scope="col" class="number">Started</th>
                  </tr>
                </thead>
                <tbody>{runs.map((run) => <RunRow key={run.id} run={run} />)}</tbody>
              </table>
            </div>
          )}
      </section>
    </>
  );
}

function RunRow({ run }: { readonly run: Run }): VNode {
  const { id, kind, by, started_at, finished_at, state, dry_run, halted, problems } = run;
  return (
    <tr>
      <td>
        {kind}
        <div class="muted number">#{id}, by {by}{dry_run ? ", dry run" : ""}</div>
      </td>
      <td>
        <Badge word={state} />
      </td>
      <td>
        {findingsOf(run)}
        {problems > 0 && (
          <div class="muted">{counted(problems, "object was", "objects were")} skipped</div>
        )}
        {halted !== null && <div class="before">{halted}</div>}
      </td>
      <td class="number">
        {finished_at === null
          ? "–"
          : duration((Date.parse(finished_at) - Date.parse(started_at)) / 1000)}
      </td>
      <td class="number muted" title={dateTime(started_at)}>
        <Age at={started_at} />
      </td>
    </tr>
  );
}

/** What a run found that was not as at Clerk. */
const FOUND = ["missing", "outdated", "deleted", "surplus", "unreadable", "refused"] as const;

function findingsOf({ tallies }: Run): string {
  const kinds = Object.entries(tallies);
  if (kinds.length === 0) return "nothing yet";
  const listed = kinds.reduce((sum, [, tally]) => sum + tally.listed, 0);
  const found = FOUND.map((name) =>
    [name, kinds.reduce((sum, [, tally]) => sum + tally[name], 0)] as const
  )
    .filter(([, number]) => number > 0)
    .map(([name, number]) => `${count(number)} ${name}`);
  return `${found.join(", ") || "no difference"} · ${count(listed)} read`;
}
