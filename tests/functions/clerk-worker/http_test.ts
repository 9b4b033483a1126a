import { assertEquals } from "@std/assert";
import type { LogEntry } from "../../../functions/_shared/clerk_sync/log.ts";
import { createHandler } from "../../../functions/clerk-worker/http.ts";
import { QueueError } from "../../../functions/clerk-worker/drain/queue.ts";
import { RunError } from "../../../functions/clerk-worker/reconcile/engine.ts";
import type { Carried } from "../../../functions/clerk-worker/reconcile/slice.ts";
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
