import { assertEquals, assertMatch } from "@std/assert";
import type { LogEntry } from "../../../functions/_shared/clerk_sync/log.ts";
import { createHandler } from "../../../functions/clerk-worker/http.ts";
import { QueueError } from "../../../functions/clerk-worker/drain/queue.ts";
import { RunError } from "../../../functions/clerk-worker/reconcile/engine.ts";
import type { Carried } from "../../../functions/clerk-worker/reconcile/slice.ts";
import type { Status } from "../../../functions/clerk-worker/status.ts";
import type { Summary } from "../../../functions/clerk-worker/drain/worker.ts";

const SECRET = "a long random text";

interface Call {
  readonly response: Response;
  readonly drained: number;
  readonly log: readonly LogEntry[];
}

async function call(
  { path = "", ...init }: RequestInit & { path?: string },
  drain: () => Promise<Summary> = () => Promise.resolve({ done: 2, retried: 1, dead: 0 }),
  reconcile?: () => Promise<readonly Carried[]>,
  status?: Status,
): Promise<Call> {
  let drained = 0;
  const log: LogEntry[] = [];
  const handle = createHandler({
    secret: SECRET,
    log: (entry) => log.push(entry),
    drain: () => {
      drained++;
      return drain();
    },
    reconcile,
    status: () => {
      if (status === undefined) throw new QueueError("PGRST202");
      return Promise.resolve(status);
    },
  });
  const url = `http://localhost/clerk-worker${path}`;
  const response = await handle(new Request(url, init));
  return { response, drained, log };
}

function withSecret(secret: string): RequestInit {
  return { method: "POST", headers: { authorization: `Bearer ${secret}` } };
}

Deno.test("with the secret the worker drains, and answers with counts", async () => {
  const { response, drained } = await call(withSecret(SECRET));

  assertEquals(response.status, 200);
  assertEquals(await response.json(), { outcome: "drained", done: 2, retried: 1, dead: 0 });
  assertEquals(drained, 1);
});

Deno.test("without the exact secret the worker does nothing", async () => {
  const others: RequestInit[] = [
    { method: "POST" },
    { method: "POST", headers: { authorization: "" } },
    { method: "POST", headers: { authorization: SECRET } },
    { method: "POST", headers: { apikey: SECRET } },
    withSecret(SECRET.slice(0, -1)),
    withSecret(`${SECRET}x`),
    withSecret(SECRET.toUpperCase()),
  ];

  for (const other of others) {
    const { response, drained, log } = await call(other);
    assertEquals([response.status, drained, log], [401, 0, []]);
  }
});

Deno.test("no other secret is accepted, even if part of its digest is the same", async () => {
  const others = Array.from({ length: 3000 }, (_, number) => `${SECRET} ${number}`);

  const calls = await Promise.all(others.map((other) => call(withSecret(other))));

  assertEquals(calls.filter(({ drained }) => drained > 0).length, 0);
  assertEquals(new Set(calls.map(({ response }) => response.status)), new Set([401]));
});

Deno.test("any method but POST is 405", async () => {
  const { response, drained } = await call({ ...withSecret(SECRET), method: "GET" });

  assertEquals([response.status, response.headers.get("allow"), drained], [405, "POST", 0]);
});

Deno.test("a queue that cannot be reached is 503, with its code in the log alone", async () => {
  const unreachable = await call(
    withSecret(SECRET),
    () => Promise.reject(new QueueError("PGRST202")),
  );
  const strange = await call(
    withSecret(SECRET),
    () => Promise.reject(new Error("no room for ada@example.com")),
  );

  assertEquals([unreachable.response.status, strange.response.status], [503, 503]);
  assertEquals(await unreachable.response.json(), { outcome: "unavailable" });
  assertEquals(unreachable.log, [{ outcome: "unavailable", code: "PGRST202" }]);
  assertEquals(strange.log, [{ outcome: "unavailable", code: "crashed" }]);
});

const RECONCILE = { ...withSecret(SECRET), path: "/reconcile" };

Deno.test("POST /reconcile answers with the runs, and drains nothing", async () => {
  const carried: Carried = {
    run: 7,
    kind: "poll",
    is_finished: true,
    halted: null,
    missing: 1,
    outdated: 2,
    skipped: 0,
    surplus: 0,
    deleted: 0,
  };

  const { response, drained } = await call(RECONCILE, undefined, () => Promise.resolve([carried]));

  assertEquals([response.status, drained], [200, 0]);
  assertEquals(await response.json(), { outcome: "reconciled", runs: [carried] });
});

Deno.test("POST /reconcile needs the secret, too", async () => {
  const { response } = await call(
    { ...withSecret("another long text"), path: "/reconcile" },
    undefined,
    () => Promise.reject(new Error("called")),
  );

  assertEquals(response.status, 401);
});

Deno.test("without a key of Clerk's, POST /reconcile is 501, and the log says why", async () => {
  const { response, log } = await call(RECONCILE);

  assertEquals(response.status, 501);
  assertEquals(await response.json(), { outcome: "not_configured" });
  assertEquals(log, [{
    outcome: "not_configured",
    message: "Nothing reconciles: CLERK_SECRET_KEY is not set",
  }]);
});

Deno.test("a run that cannot go on is 503, with its sentence in the log alone", async () => {
  const { response, log } = await call(
    RECONCILE,
    undefined,
    () => Promise.reject(new RunError("Cannot go on")),
  );

  assertEquals([response.status, await response.json()], [503, { outcome: "unavailable" }]);
  assertEquals(log, [{ outcome: "unavailable", message: "Cannot go on" }]);
});

const GET_STATUS = { ...withSecret(SECRET), method: "GET", path: "/status" };

const WELL: Status = {
  is_healthy: true,
  verdict: "All is well",
  breaches: [],
  events: {
    last_seconds: 5,
    last_applied_seconds: null,
    hour: { applied: 3 },
    day: { applied: 4 },
    is_day_whole: true,
    waiting: {},
    oldest_waiting_seconds: null,
    newest_waiting_seconds: null,
  },
  queue: { waiting: 1, in_flight: 0, retrying: 0, oldest_seconds: null, dead: 2 },
  runs: {
    backfill_seconds: 60,
    reconcile_seconds: null,
    poll_seconds: null,
    surplus: 0,
    skipped: 0,
    halted: null,
    unheard: 0,
    stopped: [],
  },
  rows: { user: { here: 9, clerk: 10 } },
  version: "1.0.0",
  installation: "installed",
  code_version: "1.0.0",
  bytes: { inbox: 8192 },
};
const UNWELL: Status = {
  ...WELL,
  is_healthy: false,
  breaches: [{ code: "silent", sentence: "No event.", cure: "Look." }],
};

Deno.test("GET /status is 200 when all is well and 503 when it is not, with the same JSON", async () => {
  const well = await call(GET_STATUS, undefined, undefined, WELL);
  const unwell = await call(GET_STATUS, undefined, undefined, UNWELL);

  assertEquals([well.response.status, await well.response.json()], [200, WELL]);
  assertEquals([unwell.response.status, await unwell.response.json()], [503, UNWELL]);
});

Deno.test("GET /status needs the secret, any other method is 405, and no database is 503", async () => {
  const stranger = await call({ method: "GET", path: "/status" }, undefined, undefined, WELL);
  const post = await call({ ...GET_STATUS, method: "POST" }, undefined, undefined, WELL);
  const away = await call(GET_STATUS);

  assertEquals(stranger.response.status, 401);
  assertEquals([post.response.status, post.response.headers.get("allow")], [405, "GET"]);
  assertEquals([away.response.status, await away.response.json()], [503, {
    outcome: "unavailable",
  }]);
});

Deno.test("GET /status?format=openmetrics gives metrics, also when something is wrong", async () => {
  const given = { ...GET_STATUS, path: "/status?format=openmetrics" };

  const { response } = await call(given, undefined, undefined, UNWELL);
  const lines = (await response.text()).split("\n");

  assertEquals(response.status, 200);
  assertEquals(
    response.headers.get("content-type"),
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  assertEquals(lines.slice(-2), ["# EOF", ""]);
  for (const line of lines.slice(0, -2)) {
    assertMatch(line, /^(?:# (?:TYPE \w+ gauge|HELP \w+ .+)|\w+(?:\{(?:\w+="\w+",?)+\})? \d+)$/);
  }
  const values = [
    "clerk_sync_healthy 0",
    'clerk_sync_breach{code="silent"} 1',
    "clerk_sync_last_event_age_seconds 5",
    'clerk_sync_events_last_hour{outcome="applied"} 3',
    'clerk_sync_queue_changes{state="dead"} 2',
    'clerk_sync_run_age_seconds{kind="backfill"} 60',
    'clerk_sync_rows{kind="user",at="clerk"} 10',
  ];
  assertEquals(values.filter((value) => !lines.includes(value)), []);
  assertEquals(lines.filter((line) => /last_applied.* \d/.test(line)), [], "there is none");
});
