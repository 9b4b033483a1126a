import { assertEquals, assertGreaterOrEqual, assertLess, assertRejects } from "@std/assert";
import {
  type ClerkApi,
  ClerkApiError,
  type ClerkApiOptions,
  createClerkApi,
  readInstanceId,
} from "../../../../functions/clerk-worker/reconcile/clerk_api.ts";
import { readPage } from "../../../../functions/clerk-worker/reconcile/page_text.ts";
import { anInstance, type ClerkApiServer, serveClerkApi } from "../../../clerk_api/clerk_api.ts";
import { random } from "../../../random.ts";

const INSTANCE = anInstance({ users: 30 });

function apiOf(clerk: ClerkApiServer, options: Partial<ClerkApiOptions> = {}): ClerkApi {
  return createClerkApi({
    secretKey: clerk.secretKey,
    apiUrl: clerk.url,
    pause: 2,
    patience: 2000,
    ...options,
  });
}

async function idsOfUsers(api: ClerkApi): Promise<unknown[]> {
  const answer = await api.get("/users?limit=500&order_by=created_at", readPage);
  if (!("body" in answer)) throw new Error(answer.code);
  return answer.body.objects.map(({ value }) => (value as { id: string }).id);
}

const IDS = INSTANCE.user.map(({ id }) => id);

Deno.test("an answer carries the time of its Date header", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  const date = "Fri, 02 Oct 2026 08:00:00 GMT";
  clerk.onRequest = () => new Response("[]", { headers: { date } });

  const answer = await apiOf(clerk).get("/users", readPage);

  assertEquals("observedAt" in answer && answer.observedAt, Date.parse(date));
});

Deno.test("errors, HTML, cut bodies and slow answers end in whole answers", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  clerk.weather = { pick: random(7), errors: 0.3, cut: 0.3, slow: 0.1 };
  const api = apiOf(clerk, { patience: 20_000 });

  for (let round = 0; round < 20; round++) assertEquals(await idsOfUsers(api), IDS);
  assertGreaterOrEqual(clerk.asked.length, 25);
});

Deno.test("a 429 is waited out as long as Retry-After says, by all requests", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  const times: number[] = [];
  clerk.onRequest = () => {
    times.push(performance.now());
    if (times.length > 1) return;
    return new Response("{}", { status: 429, headers: { "retry-after": "1" } });
  };
  const waits: string[] = [];
  const api = apiOf(clerk, { onWait: (why) => waits.push(why), patience: 5000 });

  const first = idsOfUsers(api);
  while (waits.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await Promise.all([first, idsOfUsers(api)]);

  const [limited = 0, ...others] = times;
  assertEquals([others.length, waits], [2, ["it limits the rate of requests"]]);
  for (const time of others) assertGreaterOrEqual(time - limited, 990);
});

/** Notes when each request begins: a busy server hears of it later. */
function noteFetches(times: number[]): Disposable {
  const { fetch } = globalThis;
  globalThis.fetch = (...args) => {
    times.push(performance.now());
    return fetch(...args);
  };
  return {
    [Symbol.dispose]: () => {
      globalThis.fetch = fetch;
    },
  };
}

Deno.test("no more requests begin within a time than the rate allows", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  const times: number[] = [];
  using _noted = noteFetches(times);
  const api = apiOf(clerk, { rate: { requests: 5, milliseconds: 300 } });

  await Promise.all(Array.from({ length: 12 }, () => idsOfUsers(api)));

  const [first = 0, sixth = 0, eleventh = 0] = [times[0], times[5], times[10]];
  assertGreaterOrEqual(sixth - first, 250);
  assertGreaterOrEqual(eleventh - sixth, 250);
  assertLess(eleventh - first, 10_000);
});

Deno.test("a refused key is said at once, in a sentence", async () => {
  await using clerk = serveClerkApi(INSTANCE);

  await assertRejects(
    () => readInstanceId(apiOf(clerk, { secretKey: "sk_live_other" })),
    ClerkApiError,
    "does not accept CLERK_SECRET_KEY",
  );
  assertEquals(clerk.asked.length, 1);
});

Deno.test("what never becomes well is given up on, with the reason", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  const answers: [string, () => Response][] = [
    ["it answers 503", () => new Response("", { status: 503 })],
    ["it answers 404, and not as Clerk does", () => new Response("<html>", { status: 404 })],
    ["it answers 302, and not as Clerk does", () => Response.redirect("https://example.com")],
    ["its answer is not whole", () => new Response('[{"id":"user_')],
    ["it limits the rate of requests", () => new Response("", { status: 429 })],
  ];

  for (const [why, answer] of answers) {
    clerk.onRequest = answer;
    await assertRejects(() => idsOfUsers(apiOf(clerk, { patience: 50 })), ClerkApiError, why);
  }
  await assertRejects(
    () => idsOfUsers(apiOf(clerk, { apiUrl: "http://127.0.0.1:9", patience: 50 })),
    ClerkApiError,
    "the connection fails",
  );
});

Deno.test("a Retry-After beyond all patience is not waited for", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  clerk.onRequest = () => new Response("", { status: 429, headers: { "retry-after": "3600" } });

  await assertRejects(() => idsOfUsers(apiOf(clerk)), ClerkApiError, "limits the rate");
  assertEquals(clerk.asked.length, 1);
});

Deno.test("an error of Clerk's own is an answer, with its code", async () => {
  await using clerk = serveClerkApi(INSTANCE);

  const answer = await apiOf(clerk).get("/users/user_nobody", JSON.parse);

  assertEquals(answer, { status: 404, code: "resource_not_found" });
});

Deno.test("whoever is told to stop does not wait", async () => {
  await using clerk = serveClerkApi(INSTANCE);
  clerk.onRequest = () => new Response("", { status: 503 });
  const stopping = new AbortController();
  const api = apiOf(clerk, {
    pause: 60_000,
    patience: 600_000,
    stop: stopping.signal,
    onWait: () => stopping.abort(new Error("Stopped")),
  });

  await assertRejects(() => idsOfUsers(api), Error, "Stopped");
});
