import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { isJsonObject, type Json } from "../_shared/clerk_sync/json.ts";
import { call } from "./drain/queue.ts";
import { type ClerkApi, ClerkApiError } from "./reconcile/clerk_api.ts";
import { VERSION } from "./version.ts";

const Age = z.number().nullable();
const Counts = z.record(z.string(), z.number());

/** What `clerk_sync_status` returns. Ages are in seconds, and null when there is nothing of that age. */
export const Status = z.object({
  is_healthy: z.boolean(),
  /** One line. */
  verdict: z.string(),
  breaches: z.array(z.object({ code: z.string(), sentence: z.string(), cure: z.string() })),
  events: z.object({
    last_seconds: Age,
    last_applied_seconds: Age,
    /** By outcome. */
    hour: Counts,
    day: Counts,
    /** False when only the newest 20,000 were counted. */
    is_day_whole: z.boolean(),
    /** By outcome: failed, unreadable. */
    waiting: Counts,
    oldest_waiting_seconds: Age,
    newest_waiting_seconds: Age.default(null),
  }),
  queue: z.object({
    waiting: z.number(),
    in_flight: z.number(),
    retrying: z.number(),
    oldest_seconds: Age,
    dead: z.number(),
  }),
  runs: z.object({
    backfill_seconds: Age,
    reconcile_seconds: Age,
    poll_seconds: Age,
    surplus: z.number(),
    skipped: z.number(),
    halted: z.string().nullable(),
    unheard: z.number(),
    stopped: z.array(z.object({ run: z.number(), kind: z.string(), seconds: z.number() })),
  }),
  /** By kind; null without a key of Clerk's. */
  rows: z.record(z.string(), z.object({ here: z.number(), clerk: z.number() })).nullable(),
  /** Of the schema. */
  version: z.string(),
  /** Whether every migration was applied: installing, installed, upgrading. */
  installation: z.string().default("installed"),
  bytes: Counts,
});
export type Status = z.infer<typeof Status> & {
  /** Of the worker or the command that asked. */
  readonly code_version: string;
};

/**
 * Asks how the sync is. With Clerk's API it also compares the rows with Clerk's own counts; if Clerk
 * cannot be read, it says so and leaves those out.
 *
 * @param onUnreadable receives the sentence why Clerk cannot be read
 * @throws {QueueError} when the database cannot be reached
 */
export async function readStatus(
  supabase: SupabaseClient,
  api?: ClerkApi,
  onUnreadable: (why: string) => void = () => {},
): Promise<Status> {
  const clerk_counts = api === undefined ? null : await countAtClerk(api, onUnreadable);
  const answer = await call(supabase, "clerk_sync_status", { clerk_counts }, Status);
  return { ...answer, code_version: VERSION };
}

const COUNTS = {
  user: "/users/count",
  organization: "/organizations?limit=1",
  membership: "/organization_memberships?limit=1",
};

async function countAtClerk(
  api: ClerkApi,
  onUnreadable: (why: string) => void,
): Promise<Record<string, number> | null> {
  const counts: Record<string, number> = {};
  try {
    for (const [kind, path] of Object.entries(COUNTS)) {
      const answer = await api.get(path, (body): Json => JSON.parse(body));
      const body = "body" in answer ? answer.body : null;
      if (isJsonObject(body) && typeof body.total_count === "number") {
        counts[kind] = body.total_count;
      }
    }
    return counts;
  } catch (error) {
    if (!(error instanceof ClerkApiError)) throw error;
    onUnreadable(error.message);
    return null;
  }
}

interface Metric {
  readonly name: string;
  readonly help: string;
  /** Each with its labels. */
  readonly samples: readonly (readonly [labels: string, value: number | boolean | null])[];
}

/** The status in the text format of OpenMetrics; an age that there is none of is left out. */
export function openMetrics(
  { is_healthy, breaches, events, queue, runs, rows, bytes }: Status,
): string {
  const labelled = (label: string, counts: Readonly<Record<string, number>>): Metric["samples"] =>
    Object.entries(counts).map(([name, count]) => [`{${label}="${name}"}`, count]);
  const metrics: Metric[] = [
    { name: "healthy", help: "1 when nothing is wrong", samples: [["", is_healthy]] },
    {
      name: "breach",
      help: "1 for each thing that is wrong",
      samples: [...new Set(breaches.map(({ code }) => code))].map((
        code,
      ) => [`{code="${code}"}`, 1]),
    },
    {
      name: "last_event_age_seconds",
      help: "Age of the last event",
      samples: [["", events.last_seconds]],
    },
    {
      name: "last_applied_event_age_seconds",
      help: "Age of the last event that was applied",
      samples: [["", events.last_applied_seconds]],
    },
    {
      name: "events_last_hour",
      help: "Events of the last hour",
      samples: labelled("outcome", events.hour),
    },
    {
      name: "events_waiting",
      help: "Messages that failed or could not be read",
      samples: labelled("outcome", events.waiting),
    },
    {
      name: "queue_changes",
      help: "Changes on the queue",
      samples: labelled("state", {
        waiting: queue.waiting,
        in_flight: queue.in_flight,
        retrying: queue.retrying,
        dead: queue.dead,
      }),
    },
    {
      name: "queue_oldest_age_seconds",
      help: "Age of the oldest change on the queue",
      samples: [["", queue.oldest_seconds]],
    },
    {
      name: "run_age_seconds",
      help: "Time since a run over Clerk's API finished",
      samples: [
        ['{kind="backfill"}', runs.backfill_seconds],
        ['{kind="reconcile"}', runs.reconcile_seconds],
        ['{kind="poll"}', runs.poll_seconds],
      ],
    },
    {
      name: "surplus_objects",
      help: "Objects that Clerk no longer lists",
      samples: [["", runs.surplus]],
    },
    {
      name: "rows",
      help: "Rows here and at Clerk",
      samples: Object.entries(rows ?? {}).flatMap(([kind, { here, clerk }]) => [
        [`{kind="${kind}",at="here"}`, here],
        [`{kind="${kind}",at="clerk"}`, clerk],
      ]),
    },
    { name: "bytes", help: "Size with indexes", samples: labelled("relation", bytes) },
  ];
  const lines = metrics.flatMap(({ name, help, samples }) => [
    `# TYPE clerk_sync_${name} gauge`,
    `# HELP clerk_sync_${name} ${help}`,
    ...samples.filter(([, value]) => value !== null)
      .map(([labels, value]) => `clerk_sync_${name}${labels} ${Number(value)}`),
  ]);
  return `${lines.join("\n")}\n# EOF\n`;
}
