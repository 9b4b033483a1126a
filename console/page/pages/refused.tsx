import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { AtClerk, Refusals } from "../../api.ts";
import { useLive } from "../live.ts";
import { Age, AgeOf } from "../parts/age.tsx";
import { Badge } from "../parts/badge.tsx";
import { Body, Card, Pair, Table } from "../parts/card.tsx";
import { Command } from "../parts/copy.tsx";
import { Empty, Load, Sentence } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { useLoaded } from "../ask.ts";
import { count, dateTime, rowsText, spaced } from "../words.ts";

/** Requests that were refused before anything was stored. */
export function Refused(): VNode {
  const { has_refusals } = useProject();
  return (
    <div class="sheet">
      <div class="headline">
        <h1>Never arrived</h1>
        <p>
          {has_refusals
            ? "Requests that the webhook refused before it stored anything; the last 1,000 since the stack was started."
            : "What the webhook refuses leaves no trace in the database. This is where to look."}
        </p>
      </div>
      {has_refusals ? <Here /> : <Elsewhere />}
    </div>
  );
}

function Here(): VNode {
  const loaded = useLoaded<Refusals>("/api/refusals");
  const { refusals: live } = useLive();
  useEffect(loaded.reload, [live]);
  return <Load from={loaded}>{(all) => <List all={all} />}</Load>;
}

/** Rows that are drawn. */
const MOST_ROWS = 300;

function List({ all: { refusals, counts, since } }: { readonly all: Refusals }): VNode {
  const [only, setOnly] = useState<string | null>(null);
  if (refusals.length === 0) {
    return (
      <Card title="Nothing was refused">
        <Empty title="Every request was authentic">
          <p>Since {dateTime(since)}, each had a valid signature and could be read to its end.</p>
        </Empty>
      </Card>
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
            {spaced(outcome)} {count(number)}
          </button>
        ))}
      </div>
      <Card title="Refused requests, newest first">
        <Table head={["Refused as", "Why, and what to do"]}>
          {refusals.filter(({ outcome }) => only === null || outcome === only)
            .slice(0, MOST_ROWS).map((
              { at, status, outcome, message_id, sentence, cure },
              index,
            ) => (
              <tr key={`${at} ${index}`}>
                <td>
                  <Badge word={outcome} />
                  <div class="muted number">status {status}</div>
                  <div class="muted">
                    <Age at={at} />
                  </div>
                </td>
                <td class="wrap">
                  <Sentence text={sentence} />
                  {message_id !== null && <div class="mono">{message_id}</div>}
                  <div class="muted">
                    <Sentence text={cure} />
                  </div>
                </td>
              </tr>
            ))}
        </Table>
      </Card>
    </>
  );
}

/** A hosted project: its log and Clerk's dashboard know what was refused. */
function Elsewhere(): VNode {
  const { status, statusAt } = useLive();
  const { host, has_clerk } = useProject();
  const [, ref] = /^([a-z0-9]+)\.supabase\.co$/.exec(host) ?? [];
  const atClerk = useLoaded<AtClerk>(has_clerk ? "/api/clerk" : null, 60_000);
  const newest = atClerk.value?.newest_user_change ?? null;
  const rows = Object.entries(status?.rows ?? {});
  return (
    <div class="grid-2">
      <Card title="Is anything missing?">
        <Body>
          <dl class="pairs">
            <Pair name="Last event here">
              <AgeOf seconds={status?.events.last_seconds ?? null} since={statusAt} />
            </Pair>
            {newest !== null && (
              <Pair name="Newest change of a user at Clerk">
                <Age at={newest} />
              </Pair>
            )}
            {rows.map(([kind, each]) => <Pair key={kind} name={`${kind}s`}>{rowsText(each)}</Pair>)}
          </dl>
          <p>
            {!has_clerk
              ? "Set CLERK_SECRET_KEY for this command to compare with Clerk's own counts."
              : rows.every(([, { here, clerk }]) => here === clerk)
              ? "The counts are the same as Clerk's. A reconcile also finds changes that did not arrive."
              : "The counts differ from Clerk's. A reconcile tells what is missing, and repairs it."}
          </p>
          <Command words="reconcile --dry-run" />
        </Body>
      </Card>
      <Card title="Where to look">
        <Body>
          <h3>What the function refused</h3>
          <p class="muted">Its log has a line for each request, with the outcome and the reason.</p>
          {ref !== undefined && (
            <Outside
              href={`https://supabase.com/dashboard/project/${ref}/functions/clerk-webhook/logs`}
            >
              Log of clerk-webhook
            </Outside>
          )}
          <h3>What Clerk could not deliver</h3>
          <p class="muted">
            In Clerk's dashboard, under Webhooks, the endpoint's page lists each failed attempt, and
            resends all missing messages since a time.
          </p>
          <Outside href="https://dashboard.clerk.com/last-active?path=webhooks">
            Clerk's webhooks
          </Outside>
        </Body>
      </Card>
    </div>
  );
}

function Outside({ href, children }: { readonly href: string; readonly children: string }): VNode {
  return <a href={href} rel="noreferrer" target="_blank">{children} ↗</a>;
}
