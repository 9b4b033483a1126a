import { z } from "zod";
import type { Status } from "../../functions/clerk-worker/status.ts";
import { VERSION } from "../../functions/clerk-worker/version.ts";
import { JOBS, WORKER_SECRET, WORKER_URL, writeVault } from "../../hosted/schedule.ts";
import { StartError } from "../../local/start_error.ts";
import { age, counts } from "../figures.ts";
import { type Finding, type Fix, NOT_INSPECTED, some, unknown, well, wrong } from "./check.ts";
import { sqlFix } from "./database.ts";
import type { Inspection, Installation } from "./installation.ts";

// How the sync does: what the status alerts on, its schedule, Clerk's key and instance, and versions.

/** The breaches of the status by the check that reports them. */
export const BREACHES: Readonly<Record<string, readonly string[]>> = {
  events: ["read_only", "no_event", "silent", "nothing_applied", "unheard"],
  instance: ["foreign"],
  messages: ["waiting", "failing"],
  queue: ["queue", "dead_letters"],
  reconcile: ["never_reconciled", "reconcile", "stopped", "surplus", "skipped"],
  counts: ["counts"],
};

/** What a check says when nothing is wrong. */
const FIGURES: Readonly<Record<string, (status: Status) => string>> = {
  events: ({ verdict, events }) =>
    events.last_seconds === null
      ? "None has arrived yet, and settings.max_event_age allows that."
      : /the last event arrived .*ago/.exec(verdict)?.[0].replace(/^t/, "T").concat(".") ??
        "The last event is recent enough.",
  messages: ({ events }) =>
    Object.keys(events.waiting).length === 0
      ? "None has failed, and every one could be read."
      : `Waiting for a replay: ${counts(events.waiting)}, the newest ${
        age(events.newest_waiting_seconds)
      }.`,
  queue: ({ queue }) =>
    `Waiting: ${queue.waiting + queue.in_flight + queue.retrying}, none for too long. Dead: none.`,
  reconcile: ({ runs }) =>
    runs.backfill_seconds === null && runs.reconcile_seconds === null
      ? "Never compared with Clerk, and settings.max_reconcile_age allows that."
      : "The tables were compared with Clerk not long ago.",
  counts: ({ rows }) =>
    `Here and at Clerk: ${
      Object.entries(rows ?? {}).map(([kind, { here, clerk }]) => `${kind} ${here} / ${clerk}`)
        .join(", ")
    }.`,
};

/** A check of what the status alerts on. */
export function checkStatus(code: string): (installation: Installation) => Promise<Finding> {
  return async (installation) => {
    const found = await installation.status();
    if ("error" in found) return NOT_INSPECTED;
    const { breaches, rows } = found.value;
    const ours = breaches.filter((breach) => BREACHES[code]?.includes(breach.code));
    if (ours.length === 0) {
      return code === "counts" && rows === null
        ? unknown(await whyNotCounted(installation))
        : well(FIGURES[code]?.(found.value) ?? "");
    }
    const cures = [...new Set(ours.map(({ cure }) => asCommand(cure)))];
    return wrong(
      ours.map(({ sentence }) => sentence).join(" "),
      cures.join(" "),
      code === "queue" ? drain(installation) : undefined,
    );
  };
}

async function whyNotCounted({ clerkInstance }: Installation): Promise<string> {
  const answer = await clerkInstance();
  return answer === undefined
    ? "Set CLERK_SECRET_KEY to compare rows with Clerk's counts."
    : "Clerk's API cannot be read: see clerk_key.";
}

/** The database names our commands by one word. */
function asCommand(cure: string): string {
  return cure.replace(
    /\b(?<=[Rr]un |and |or )(backfill|replay|reconcile|work)( --[a-z-]+( \d+)?)?\b/g,
    "`deno task $1$2`",
  );
}

/** Drains in the deployed worker, because it has the handlers. */
function drain({ read, url }: Installation): Fix | undefined {
  const secret = read("CLERK_WORKER_SECRET")?.trim();
  if (!secret) return undefined;
  return {
    steps: ["calls clerk-worker, which drains the queue"],
    run: async () => {
      const response = await fetch(`${url}/functions/v1/clerk-worker`, {
        method: "POST",
        headers: { authorization: `Bearer ${secret}` },
      }).catch(() => undefined);
      await response?.body?.cancel();
      if (response?.ok) return;
      throw new StartError(
        `Cannot drain the queue as clerk-worker answers ${
          response?.status ?? "nothing"
        }: read its log, and check CLERK_WORKER_SECRET`,
      );
    },
  };
}

/** The job that runs most often may be late by this much, s. */
const LATEST_RUN = 300;

export async function checkSchedule(installation: Installation): Promise<Finding> {
  const found = await installation.inspect();
  if ("error" in found) return NOT_INSPECTED;
  const { extensions, jobs, vault } = found.value;
  if (extensions.pg_cron === undefined) {
    return unknown(
      installation.isLocal
        ? "No pg_cron here: the local stack calls the worker itself."
        : "No pg_cron here: run `work`, `reconcile` and `maintain`.",
    );
  }
  const cure = (needsSecret: boolean): string =>
    "Run `deno task deploy`, or `deno task doctor --fix` with SUPABASE_ACCESS_TOKEN" +
    (needsSecret ? " and CLERK_WORKER_SECRET, the secret that the worker has." : ".");

  const absent = [WORKER_URL, WORKER_SECRET]
    .filter((name) => !vault?.includes(name));
  if (absent.length > 0) {
    return wrong(
      `Vault has no ${absent.join(" and no ")}, so nothing calls the worker.`,
      cure(true),
      schedule(installation, absent),
    );
  }
  const missing = JOBS.filter((name) => jobs?.[name] === undefined);
  if (missing.length > 0) {
    return wrong(`Not scheduled: ${missing.join(", ")}.`, cure(false), schedule(installation, []));
  }
  const inactive = JOBS.filter((name) => jobs?.[name]?.active === false);
  if (inactive.length > 0) {
    return wrong(`Switched off: ${inactive.join(", ")}.`, cure(false), schedule(installation, []));
  }
  const failed = JOBS.filter((name) => jobs?.[name]?.last_status === "failed");
  if (failed.length > 0) {
    return wrong(
      `The last run failed: ${failed.join(", ")}.`,
      "Read return_message in cron.job_run_details, and see the checks functions and tables.",
    );
  }
  const last = jobs?.["clerk-worker"]?.last_seconds ?? null;
  if (last !== null && last > LATEST_RUN) {
    return wrong(
      `The job clerk-worker last ran ${Math.round(last / 60)} minutes ago.`,
      "pg_cron has stopped: restart the database in the Supabase dashboard.",
    );
  }
  return well(
    last === null
      ? `${JOBS.join(", ")} are scheduled, and have not run yet.`
      : `${JOBS.join(", ")}: the first ran ${last} s ago.`,
  );
}

/** Creates what is absent in Vault, and schedules the jobs anew. Undefined if there is no way. */
function schedule(
  { read, url, management }: Installation,
  absent: readonly string[],
): Fix | undefined {
  const secret = read("CLERK_WORKER_SECRET")?.trim();
  if (management === undefined || (absent.includes(WORKER_SECRET) && !secret)) return undefined;
  return {
    steps: [
      ...absent.map((name) => `creates ${name} in Vault`),
      // Anew, because start_schedule() leaves a job switched off that is.
      "select clerk_sync.stop_schedule();",
      "select clerk_sync.start_schedule();",
    ],
    run: async () => {
      for (const name of absent) {
        const value = name === WORKER_URL ? `${url}/functions/v1/clerk-worker` : secret ?? "";
        await writeVault(management, name, value, false);
      }
      await management.query("select clerk_sync.stop_schedule()");
      await management.query("select clerk_sync.start_schedule()");
    },
  };
}

export async function checkClerkKey({ clerkInstance, inspect }: Installation): Promise<Finding> {
  const answer = await clerkInstance();
  if (answer === undefined) {
    return unknown("Set CLERK_SECRET_KEY to try it.");
  }
  if ("error" in answer) {
    const [why = "", cure = "Try again later"] = answer.error.split(/: (?=[a-z])/);
    return wrong(`${why}.`, `${cure[0]?.toUpperCase()}${cure.slice(1)}.`);
  }
  const found = await inspect();
  const own = "value" in found ? found.value.settings.instance_id : null;
  const seen = "value" in found ? Object.keys(found.value.instances) : [];
  const expected = own ?? (seen.length === 1 ? seen[0] : undefined);
  if (expected !== undefined && expected !== answer.value) {
    return wrong(
      `CLERK_SECRET_KEY is of ${answer.value}, and the ${
        own === null ? "events come from" : "database accepts"
      } ${expected}.`,
      "Copy the key of that instance from API keys in the Clerk dashboard: production and development are two.",
    );
  }
  return well(`It is accepted, and of ${answer.value}.`);
}

export async function checkInstance(installation: Installation): Promise<Finding> {
  const found = await installation.inspect();
  if ("error" in found) return NOT_INSPECTED;
  const { settings: { instance_id: own }, instances } = found.value;
  const seen = Object.keys(instances);
  if (own === null) {
    if (seen.length > 1) {
      return wrong(
        `Events of several Clerk instances are mixed: ${some(seen)}.`,
        `Accept one: \`${settingSql("ins_…")}\`, and remove the endpoint from the others.`,
        await setInstance(installation, found.value),
      );
    }
    return well(`Any is accepted${seen.length === 0 ? "" : `; events came from ${seen[0]}`}.`);
  }
  const status = await installation.status();
  const foreign = "value" in status
    ? status.value.breaches.find((breach) => BREACHES.instance?.includes(breach.code))
    : undefined;
  if (foreign !== undefined) {
    return wrong(foreign.sentence, foreign.cure, await setInstance(installation, found.value));
  }
  const others = seen.filter((id) => id !== own);
  return well(
    `${own} is accepted${others.length === 0 ? "" : `; events came from ${some(others)}, too`}.`,
  );
}

function settingSql(id: string): string {
  return `update clerk_sync.settings set instance_id = '${id}'`;
}

/** Only the instance of the key can be meant, if its events come. */
async function setInstance(
  installation: Installation,
  { instances }: Inspection,
): Promise<Fix | undefined> {
  const answer = await installation.clerkInstance();
  if (answer === undefined || "error" in answer || instances[answer.value] === undefined) {
    return undefined;
  }
  return sqlFix(installation, [settingSql(answer.value)]);
}

const WorkerStatus = z.looseObject({ code_version: z.string() });

export async function checkVersions(
  { read, url, inspect, project }: Installation,
): Promise<Finding> {
  const found = await inspect();
  if ("error" in found) return NOT_INSPECTED;
  const secret = read("CLERK_WORKER_SECRET")?.trim();
  const worker = secret ? await workerVersion(url, secret) : undefined;
  const versions = Object.entries({
    schema: found.value.version,
    functions: worker,
    "files in this project": project?.record?.version,
  }).filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== undefined);

  const other = versions.filter(([, version]) => version !== VERSION);
  if (other.length > 0) {
    const text = other.map(([name, version]) => `${name} ${version}`).join(", ");
    return wrong(
      `This command is ${VERSION}, and not: ${text}.`,
      "Run `deno task upgrade` and `deno task deploy` of the newest version; or this command in the version that is deployed.",
    );
  }
  return well(
    `${VERSION}: this command, ${versions.map(([name]) => name).join(", ")}.` +
      (worker === undefined ? " Unknown: functions." : ""),
  );
}

async function workerVersion(url: string, secret: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/functions/v1/clerk-worker/status`, {
      headers: { authorization: `Bearer ${secret}` },
      signal: AbortSignal.timeout(10_000),
    });
    return WorkerStatus.parse(await response.json()).code_version;
  } catch {
    return undefined;
  }
}
