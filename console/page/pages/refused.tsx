import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Refusals } from "../../api.ts";
import { useLive } from "../live.ts";
import { Age, AgeOf } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Command, CommandLine, Id } from "../parts/copy.tsx";
import { Empty, Load } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { useLoaded } from "../server.ts";
import { count, dateTime, spaced } from "../words.ts";

/** Requests that were refused before anything was stored. */
export function Refused(): VNode {
  const { has_refusals } = useProject();
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Never arrived</h1>
        <p>
          {has_refusals
            ? "Requests that the webhook refused before it stored anything: a wrong signature, missing headers, a body that is too large. The last 1,000 since the stack was started."
            : "What the webhook refuses leaves no trace in the database. These are the places that know."}
        </p>
      </div>
      {has_refusals ? <Here /> : <Elsewhere />}
    </div>
  );
}

function Here(): VNode {
  const loaded = useLoaded<Refusals>("/api/refusals");
  const { refusals: live } = useLive();
  return <Load from={loaded}>{(first) => <List all={live ?? first} />}</Load>;
}

function List({ all: { refusals, counts, since } }: { readonly all: Refusals }): VNode {
  const [only, setOnly] = useState<string | null>(null);
  if (refusals.length === 0) {
    return (
      <section class="card">
        <Empty title="Nothing was refused">
          <p>
            Every request since {dateTime(since)}{" "}
            had a valid signature and could be read to its end.
          </p>
        </Empty>
      </section>
    );
  }
  return (
    <>
      <div class="chips" role="group" aria-label="Reason">
        {Object.entries(counts).map(([outcome, number]) => (
          <button
            key={outcome}
            type="button"
            class="chip"
            aria-pressed={only === outcome}
            onClick={() => setOnly(only === outcome ? null : outcome)}
          >
            {spaced(outcome)} <span class="number">{count(number)}</span>
          </button>
        ))}
      </div>
      <section class="card">
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Refused as</th>
                <th scope="col">Why, and what to do</th>
                <th scope="col">Message</th>
              </tr>
            </thead>
            <tbody>
              {refusals.filter(({ outcome }) => only === null || outcome === only).slice(0, 300)
                .map(({ at, status, outcome, message_id, sentence, cure }, index) => (
                  <tr key={`${at} ${index}`}>
                    <td class="number muted">
                      <Age at={at} />
                    </td>
                    <td>
                      <Badge word={outcome} /> <span class="muted number">{status}</span>
                    </td>
                    <td>
                      {sentence}
                      <div class="muted">{cure}</div>
                    </td>
                    <td class="id-cell muted">
                      {message_id === null ? "–" : <Id id={message_id} />}
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

/** A hosted project: its gateway and Clerk's dashboard know what was refused. */
function Elsewhere(): VNode {
  const { status, statusAt } = useLive();
  const { host, has_clerk } = useProject();
  const [ref = ""] = host.split(".");
  const rows = Object.entries(status?.rows ?? {});
  const behind = rows.filter(([, { here, clerk }]) => here !== clerk);
  return (
    <div class="grid-2">
      <section class="card">
        <header>
          <h2>Is anything missing?</h2>
        </header>
        <div class="body stack">
          <dl class="pairs">
            <dt>Last event here</dt>
            <dd>
              <AgeOf seconds={status?.events.last_seconds ?? null} since={statusAt} />
            </dd>
            {rows.map(([kind, { here, clerk }]) => (
              <>
                <dt>{kind}s</dt>
                <dd class="number">
                  {here === clerk
                    ? `${count(here)}, as at Clerk`
                    : `${count(here)} here, ${count(clerk)} at Clerk`}
                </dd>
              </>
            ))}
          </dl>
          <p>
            {!has_clerk
              ? "Set CLERK_SECRET_KEY for this command to compare with Clerk's own counts and newest changes."
              : behind.length === 0
              ? "The counts are the same as Clerk's. A reconcile also finds changes that did not arrive."
              : "Clerk has what is not here, or the other way round. A reconcile says what, and repairs it."}
          </p>
          <Command words="reconcile --dry-run" />
        </div>
      </section>
      <section class="card">
        <header>
          <h2>Where to look</h2>
        </header>
        <div class="body stack">
          <h3>What the function refused</h3>
          <p class="muted">Its log has a line for each request, with the outcome and the reason.</p>
          <a
            href={`https://supabase.com/dashboard/project/${ref}/functions/clerk-webhook/logs`}
            rel="noreferrer"
            target="_blank"
          >
            Log of clerk-webhook in Supabase's dashboard
          </a>
          <h3>What Clerk could not deliver</h3>
          <p class="muted">
            In Clerk's dashboard, under Webhooks, the endpoint has “Replay missing messages” and
            “Resend failed messages”.
          </p>
          <a
            href="https://dashboard.clerk.com/last-active?path=webhooks"
            rel="noreferrer"
            target="_blank"
          >
            Webhooks in Clerk's dashboard
          </a>
          <h3>Send one yourself</h3>
          <CommandLine text={`curl -i -X POST ${"https://"}${host}/functions/v1/clerk-webhook`} />
          <p class="muted">
            Without a signature it must answer with status 401 and missing_headers.
          </p>
        </div>
      </section>
    </div>
  );
}
