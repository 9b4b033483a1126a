import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Change, Settlement, Topic } from "../../../../functions/clerk-worker/drain/change.ts";
import {
  type Handler,
  HandlerError,
  type Run,
} from "../../../../functions/clerk-worker/drain/handler.ts";
import {
  type Batch,
  type Queue,
  QueueError,
} from "../../../../functions/clerk-worker/drain/queue.ts";
import {
  backoffSeconds,
  drain,
  SETTINGS,
  type Summary,
  type WorkerSettings,
} from "../../../../functions/clerk-worker/drain/worker.ts";
import { until } from "../../../until.ts";
import { aChange } from "../a_change.ts";

// How the worker takes, runs and settles. The real queue is in process_test.ts and queue.sql.

/** A queue in memory, by our own interface of two methods. */
class MemoryQueue implements Queue {
  readonly settled: Settlement[] = [];
  readonly batches: number[] = [];
  readonly #waiting: Change[];

  constructor(count: number, overrides: (number: number) => Partial<Change> = () => ({})) {
    this.#waiting = Array.from(
      { length: count },
      (_, number) => aChange({ message_id: number, id: `user_${number}`, ...overrides(number) }),
    );
  }

  read(batch: number): Promise<Batch> {
    this.batches.push(batch);
    return Promise.resolve({ changes: this.#waiting.splice(0, batch), malformed: [] });
  }

  add(...changes: Change[]): void {
    this.#waiting.push(...changes);
  }

  settle(settlements: readonly Settlement[]): Promise<void> {
    this.settled.push(...settlements);
    return Promise.resolve();
  }

  get left(): number {
    return this.#waiting.length;
  }
}

function handler(run: Run, name = "test", topics: Handler["topics"] = "all"): Handler {
  return { name, topics, run };
}

function work(
  queue: Queue,
  handlers: readonly Handler[],
  settings: Partial<WorkerSettings> = {},
  log: Record<string, unknown>[] = [],
): Promise<Summary> {
  return drain({
    queue,
    handlers,
    log: (entry) => log.push(entry),
    settings: { ...SETTINGS, ...settings },
  });
}

Deno.test("every change is run once and settled as done", async () => {
  const queue = new MemoryQueue(35);
  const seen: string[] = [];

  const summary = await work(
    queue,
    [handler(({ id }) => {
      seen.push(id);
      return Promise.resolve();
    })],
  );

  assertEquals(summary, { done: 35, retried: 0, dead: 0 });
  assertEquals(new Set(seen).size, 35);
  assertEquals(queue.settled.length, 35);
});

Deno.test("a change is settled after its handlers have run, and not before", async () => {
  const queue = new MemoryQueue(20);
  const early: number[] = [];

  await work(
    queue,
    [handler(async ({ message_id }) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (queue.settled.some((one) => one.message_id === message_id)) early.push(message_id);
    })],
  );

  assertEquals([early, queue.settled.length], [[], 20]);
});

Deno.test("one poisoned change does not hold up the others", async () => {
  const queue = new MemoryQueue(20);

  const summary = await work(
    queue,
    [
      handler(({ message_id }) =>
        message_id === 3 ? Promise.reject(new HandlerError("http_500")) : Promise.resolve()
      ),
    ],
  );

  assertEquals(summary, { done: 19, retried: 1, dead: 0 });
  const [poisoned] = queue.settled.filter(({ verdict }) => verdict !== "done");
  assertEquals(poisoned?.message_id, 3);
});

Deno.test("a change that hangs is stopped before another worker could get it, and the rest goes on", async () => {
  const queue = new MemoryQueue(30);
  const log: Record<string, unknown>[] = [];

  const summary = await work(
    queue,
    [
      handler(({ message_id }, signal) =>
        message_id !== 0 ? Promise.resolve() : new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new HandlerError("timeout")));
        })
      ),
    ],
    { visibilitySeconds: 6.5 },
    log,
  );

  assertEquals(summary, { done: 29, retried: 1, dead: 0 });
  assertEquals(log.at(-1)?.error_class, "timeout");
  // Stopped after 1.5 s; a handler that does not listen would be abandoned after 4.5 s.
  assert(Number(log.at(-1)?.ms) < 4500);
});

Deno.test("a handler that crashes is retried, and the text of its error goes nowhere", async () => {
  const queue = new MemoryQueue(1);
  const log: Record<string, unknown>[] = [];

  await work(
    queue,
    [handler(() => Promise.reject(new Error("no room for ada@example.com")))],
    {},
    log,
  );

  assertEquals(queue.settled[0]?.verdict, "retry");
  assertEquals(log[0]?.error_class, "handler_crashed");
  assertEquals(JSON.stringify([log, queue.settled]).includes("ada@"), false);
});

Deno.test("after the last read a change that still fails is a dead letter, with a class", async () => {
  const queue = new MemoryQueue(2, (number) => ({ reads: 11 + number }));

  const summary = await work(
    queue,
    [handler(() => Promise.reject(new HandlerError("http_410")))],
    { maxReads: 12 },
  );

  assertEquals(summary, { done: 0, retried: 1, dead: 1 });
  assertEquals(queue.settled.find(({ verdict }) => verdict === "dead"), {
    message_id: 1,
    reads: 12,
    verdict: "dead",
    error_class: "http_410",
  });
});

Deno.test("a change that was read too often and never settled is dead, and is not run again", async () => {
  const queue = new MemoryQueue(1, () => ({ reads: 13 }));
  const ran: number[] = [];

  await work(
    queue,
    [handler(({ message_id }) => {
      ran.push(message_id);
      return Promise.resolve();
    })],
    { maxReads: 12 },
  );

  assertEquals(ran, []);
  assertEquals(queue.settled, [
    { message_id: 0, reads: 13, verdict: "dead", error_class: "never_settled" },
  ]);
});

Deno.test("of two handlers the second runs although the first fails", async () => {
  const queue = new MemoryQueue(1);
  const ran: string[] = [];

  await work(
    queue,
    [
      handler(() => Promise.reject(new HandlerError("http_500")), "first"),
      handler(() => {
        ran.push("second");
        return Promise.resolve();
      }),
    ],
  );

  assertEquals(ran, ["second"]);
  assertEquals(queue.settled[0]?.verdict, "retry");
});

Deno.test("of two handlers that fail, the first is reported", async () => {
  const queue = new MemoryQueue(1);
  const log: Record<string, unknown>[] = [];

  await work(
    queue,
    [
      handler(() => Promise.reject(new HandlerError("http_500")), "first"),
      handler(() => Promise.reject(new HandlerError("smtp_550")), "second"),
    ],
    { maxReads: 1 },
    log,
  );

  assertEquals([log[0]?.handler, log[0]?.error_class], ["first", "http_500"]);
  assertEquals(queue.settled, [
    { message_id: 0, reads: 1, verdict: "dead", error_class: "http_500" },
  ]);
});

Deno.test("after a handler that used up the time, no other begins: the change is another worker's", async () => {
  const queue = new MemoryQueue(1);
  const begun: string[] = [];

  await work(
    queue,
    [
      handler(() => {
        begun.push("first");
        return new Promise(() => {});
      }),
      handler(() => {
        begun.push("second");
        return Promise.resolve();
      }),
    ],
    { visibilitySeconds: 6 },
  );

  assertEquals(begun, ["first"]);
  assertEquals(queue.settled[0]?.verdict, "retry");
});

Deno.test("a handler that ignores the signal is abandoned before another worker gets the change", async () => {
  const times: { told: number; left: number }[] = [];
  // Told after 1 s, abandoned after 4 s, and visible to others after 6 s.
  const isInTime = ({ told, left }: { told: number; left: number }): boolean =>
    told < 4000 && left > 3000 && left < 6000;

  // One of three, because the machine may have other work.
  while (times.length < 3 && !times.some(isInTime)) {
    const queue = new MemoryQueue(1);
    const started = performance.now();
    let told = Infinity;
    await work(
      queue,
      [handler((_, signal) => {
        signal.addEventListener("abort", () => told = performance.now() - started);
        return new Promise(() => {});
      })],
      { visibilitySeconds: 6 },
    );
    times.push({ told, left: performance.now() - started });
    assertEquals(queue.settled[0]?.verdict, "retry");
  }

  assert(times.some(isInTime), JSON.stringify(times));
});

Deno.test("the visibility timeout counts from the request, not from its answer", async () => {
  const queue = new MemoryQueue(1);
  const begun: number[] = [];
  const read = queue.read.bind(queue);
  queue.read = async (batch) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    return await read(batch);
  };

  await work(
    queue,
    [handler(({ message_id }) => {
      begun.push(message_id);
      return Promise.resolve();
    })],
    { visibilitySeconds: 5.1 },
  );

  assertEquals(begun, []);
  assertEquals(queue.settled.map(({ verdict }) => verdict), ["retry"]);
});

Deno.test("a change that comes while another takes long is taken at once", async () => {
  const queue = new MemoryQueue(1);
  const second = Promise.withResolvers<void>();
  const seen: number[] = [];

  const working = work(
    queue,
    [handler(({ message_id }) => {
      seen.push(message_id);
      if (message_id === 0) return second.promise;
      second.resolve();
      return Promise.resolve();
    })],
    { lookAgainMs: 10 },
  );
  await until("nothing is left to take", () => queue.batches.length >= 2);
  await new Promise((resolve) => setTimeout(resolve, 0));
  queue.add(aChange({ message_id: 1 }));
  const limit = setTimeout(() => second.reject(new HandlerError("nobody_came")), 2000);
  const summary = await working;
  clearTimeout(limit);

  assertEquals([seen, summary.done], [[0, 1], 2]);
});

Deno.test("malformed messages are dead-lettered, count towards the limits, and hold up no change", async () => {
  const queue = new MemoryQueue(3);
  const read = queue.read.bind(queue);
  let messages = 0;
  queue.read = async (batch) => ({
    ...await read(1),
    malformed: Array.from(
      { length: batch - 1 },
      () => ({ message_id: ++messages + 99, reads: 1 }),
    ),
  });
  const log: Record<string, unknown>[] = [];

  const summary = await work(
    queue,
    [handler(() => Promise.resolve())],
    { takeAtMost: 50, takeForMs: 5000, concurrency: 10 },
    log,
  );

  assertEquals(summary, { done: 3, retried: 0, dead: messages });
  assert(messages >= 27 && messages <= 47, `${messages} malformed messages`);
  assertEquals(queue.settled.find(({ message_id }) => message_id === 100), {
    message_id: 100,
    reads: 1,
    verdict: "dead",
    error_class: "unreadable",
  });
  assertEquals(log.filter(({ error_class }) => error_class === "unreadable").length, messages);
});

Deno.test("a text in place of an error class goes nowhere", async () => {
  const queue = new MemoryQueue(1);
  const log: Record<string, unknown>[] = [];

  await work(
    queue,
    [handler(() => Promise.reject(new HandlerError("550 no room for ada@example.com")))],
    { maxReads: 1 },
    log,
  );

  assertEquals(queue.settled[0], {
    message_id: 0,
    reads: 1,
    verdict: "dead",
    error_class: "unknown",
  });
  assertEquals(JSON.stringify(log).includes("ada@"), false);
});

Deno.test("no more changes run at once than allowed", async () => {
  let running = 0;
  let most = 0;

  await work(
    new MemoryQueue(50),
    [handler(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    })],
    { concurrency: 7 },
  );

  assertEquals(most, 7);
});

Deno.test("the worker stops taking changes at the limit, and finishes those it has", async () => {
  const byCount = new MemoryQueue(100);
  const byTime = new MemoryQueue(100_000);
  const slowly = [handler(() => new Promise((resolve) => setTimeout(resolve, 5)))];

  const counted = await work(byCount, slowly, { takeAtMost: 25 });
  const timed = await work(byTime, slowly, { takeForMs: 500, takeAtMost: 1e9 });

  assertEquals([counted.done, byCount.left, byCount.settled.length], [25, 75, 25]);
  assert(timed.done > 0 && byTime.left > 0);
  assertEquals(timed.done, byTime.settled.length);
});

Deno.test("no more changes are taken in total than allowed, even if more could run at once", async () => {
  const queue = new MemoryQueue(100);
  const everybody = Promise.withResolvers<void>();
  let running = 0;

  await work(
    queue,
    [handler(() => {
      if (++running === 10) everybody.resolve();
      return everybody.promise;
    })],
    { concurrency: 10, takeAtMost: 15 },
  );

  assertEquals([queue.settled.length, queue.left], [15, 85]);
});

Deno.test("changes that finish during a settling request are settled together by the next one", async () => {
  const queue = new MemoryQueue(30);
  const sizes: number[] = [];
  let asking = 0;
  let most = 0;
  queue.settle = async (settlements) => {
    sizes.push(settlements.length);
    most = Math.max(most, ++asking);
    await new Promise((resolve) => setTimeout(resolve, 5));
    asking--;
  };

  const summary = await work(queue, [handler(() => Promise.resolve())]);

  assertEquals([summary.done, most, sizes.includes(0)], [30, 1, false]);
  assertEquals(sizes.reduce((sum, size) => sum + size, 0), 30);
  assert(sizes.length < 30, `${sizes.length} requests`);
});

Deno.test("a failed settling request is reported, and no more changes are taken", async () => {
  const queue = new MemoryQueue(100);
  const codes = ["57014"];
  queue.settle = () => Promise.reject(new QueueError(codes.shift() ?? "08006"));

  await assertRejects(
    () => work(queue, [handler(() => new Promise((done) => setTimeout(done, 1)))]),
    QueueError,
    "57014",
  );

  assert(queue.left >= 70, `${queue.left} are left`);
});

Deno.test("a handler runs for its own topics, and for no others", async () => {
  const topics: Topic[] = ["profile.deleted", "membership.created", "organization.updated"];
  const queue = new MemoryQueue(3, (number) => ({ topic: topics[number] ?? "profile.created" }));
  const ran: [string, string][] = [];
  const noting = (name: string, on: Handler["topics"]): Handler =>
    handler(({ topic }) => Promise.resolve(void ran.push([name, topic])), name, on);

  await work(queue, [
    noting("all", "all"),
    noting("some", ["membership.created", "profile.deleted"]),
    noting("others", ["profile.created"]),
  ], { concurrency: 1 });

  assertEquals(ran, [
    ["all", "profile.deleted"],
    ["some", "profile.deleted"],
    ["all", "membership.created"],
    ["some", "membership.created"],
    ["all", "organization.updated"],
  ]);
});

Deno.test("a change without a handler is done, and not logged", async () => {
  const log: Record<string, unknown>[] = [];

  const summary = await work(new MemoryQueue(2), [], {}, log);

  assertEquals([summary.done, log.length], [2, 0]);
});

Deno.test("backoffSeconds() doubles from 5 s up to an hour, and spreads over half of it", () => {
  assertEquals([1, 2, 3, 4].map((reads) => backoffSeconds(reads, 1)), [5, 10, 20, 40]);
  assertEquals([1, 2, 3, 4].map((reads) => backoffSeconds(reads, 0)), [3, 5, 10, 20]);
  assertEquals([backoffSeconds(30, 1), backoffSeconds(30, 0)], [3600, 1800]);
  assert(new Set(Array.from({ length: 50 }, () => backoffSeconds(10))).size > 10);
});
