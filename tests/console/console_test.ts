import { assert, assertEquals, assertLess, assertMatch, assertObjectMatch } from "@std/assert";
import type {
  Activity,
  AtClerk,
  Discarded,
  Explained,
  MessageDetail,
  Messages,
  Project,
  Queue,
  ReconcileEnd,
  Redriven,
  Refusals,
  Replayed,
  ReplayEnd,
  Runs,
  Status,
  StreamLine,
} from "../../console/api.ts";
import {
  aClerkOrganization,
  aClerkRole,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import { anInstance, serveClerkApi } from "../clerk_api/clerk_api.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { linesOf, readUntil, withConsole } from "./a_console.ts";

const ADA = "user_2adaAdaAdaAdaAdaAdaAdaAdaAd";
const MSG = "msg_2adaAdaAdaAdaAdaAdaAdaAdaAda";

/** Has the application refuse people without a name. */
async function refuse({ database }: TestStack): Promise<void> {
  await database.sql.unsafe(`
    create function public.refuse() returns trigger language plpgsql
      as $$ begin raise exception 'No name: %', new.id; end $$;
    create trigger _200_refuse before insert or update on public.profiles
      for each row when (new.deleted_at is null and new.first_name is null)
      execute function public.refuse();
  `);
}

async function allow({ database }: TestStack): Promise<void> {
  await database.sql`drop trigger _200_refuse on public.profiles`;
}

/** Events that were received a second apart, the last one now. */
async function receive({ database }: TestStack, messages: number): Promise<void> {
  await database.sql`
    insert into clerk_sync.inbox (message_id, type, object_id, outcome, received_at)
    select
      'msg_' || lpad(n::text, 7, '0'),
      case n % 3 when 0 then 'user.created' else 'user.updated' end,
      'user_' || n,
      case n % 100 when 0 then 'stale' else 'applied' end,
      now() - make_interval(secs => (${messages} - n) / 2 * 2)
    from generate_series(1, ${messages}) as n
  `;
}

stackTest("the console tells what project it shows, and how the sync is", async (stack) => {
  await stack.send(anEvent("user.created", aClerkUser()));
  await withConsole(stack, async ({ get }) => {
    const project = await get<Project>("/api/project");
    const status = await get<Status>("/api/status");

    assertEquals(project, {
      mode: "local",
      url: stack.services.apiUrl,
      host: new URL(stack.services.apiUrl).host,
      can_try: true,
      can_view_as: true,
      has_refusals: true,
      has_clerk: false,
      versions: { schema: "1.0.0", code: "1.0.0", cli: "9.9.9" },
      installation: "installed",
      command: "deno task",
      env_flag: " --env some/env",
      publishable_key: stack.services.keys.publishable,
    });
    assertEquals(status.breaches.map(({ code }) => code), ["never_reconciled"]);
    assertEquals(status.events.hour, { applied: 1 });
  });
});

stackTest(
  "of a project that is not local, the console shows all but what only a local stack can do",
  async (stack) => {
    await stack.send(anEvent("user.created", aClerkUser()));
    await withConsole(stack, async ({ get, fetch: ask }) => {
      const project = await get<Project>("/api/project");
      const refused = await Promise.all(
        ([
          ["/api/refusals"],
          ["/api/events"],
          ["/api/people"],
          ["/api/tables"],
          ["/api/tables/profiles"],
          ["/api/try", { type: "user.created", body: null, mode: "once", count: 1 }],
          ["/api/session-token", { sub: ADA }],
          ["/api/reconcile", { dry_run: true }],
        ] as [string, unknown?][]).map(async ([path, json]) => {
          const response = await ask(path, { json });
          const { error } = await response.json();
          return [response.status, /^[A-Z].*[a-z.)]$/.test(error)];
        }),
      );

      assertObjectMatch({ ...project }, {
        mode: "hosted",
        can_try: false,
        can_view_as: false,
        has_refusals: false,
        publishable_key: null,
        versions: { code: null },
      });
      assertEquals(refused, Array(8).fill([501, true]));
      assertEquals(await get<AtClerk>("/api/clerk"), { newest_user_change: null });
      assertEquals((await get<Messages>("/api/messages")).messages.length, 1);
      assertEquals((await get<Activity>("/api/activity")).minutes[0]?.applied, 1);
    }, { local: undefined, refusals: undefined });
  },
);

stackTest(
  "the console lists messages page by page, and by outcome, type, time and text",
  async (stack) => {
    await receive(stack, 250);
    await withConsole(stack, async ({ get, fetch: ask }) => {
      const ids: string[] = [];
      const pages: [number | null, number][] = [];
      let next: string | null = "";
      while (next !== null) {
        const page: Messages = await get(`/api/messages?limit=100&after=${next}`);
        ids.push(...page.messages.map(({ message_id }) => message_id));
        pages.push([page.total, page.messages.length]);
        next = page.next;
      }
      const found = async (query: string): Promise<string[]> =>
        (await get<Messages>(`/api/messages?limit=500&${query}`)).messages
          .map(({ message_id }) => message_id);
      const [newest] = (await get<Messages>("/api/messages?limit=1")).messages;

      const all = Array.from({ length: 250 }, (_, n) => `msg_${String(250 - n).padStart(7, "0")}`);
      assertEquals([pages, ids], [[[250, 100], [null, 100], [null, 50]], all]);
      assertEquals(await found("outcome=stale"), ["msg_0000200", "msg_0000100"]);
      assertEquals((await found("outcome=stale,failed&type=user.created")).length, 0);
      assertEquals((await found("outcome=&type=user.created")).length, 83);
      assertEquals(
        await found(`since=${encodeURIComponent(newest?.received_at ?? "")}`),
        all.slice(0, 2),
      );
      assertEquals(
        (await found(`until=${encodeURIComponent(newest?.received_at ?? "")}`)).length,
        248,
      );
      assertEquals(await found("text=0000017"), ["msg_0000017"]);
      assertEquals(await found("text=user_17&type=user.updated"), [
        ...["msg_0000179", "msg_0000178", "msg_0000176", "msg_0000175", "msg_0000173"],
        ...["msg_0000172", "msg_0000170", "msg_0000017"],
      ]);
      assertEquals(await found("text=%25"), []);
      for (
        const wrong of [
          "limit=0",
          "limit=501",
          "limit=x",
          "outcome=nope",
          "since=today",
          "after=x",
          "text=%00",
        ]
      ) {
        const response = await ask(`/api/messages?${wrong}`);
        await response.body?.cancel();
        assertEquals([wrong, response.status], [wrong, 400]);
      }
    });
  },
);

stackTest(
  "a message shows its payload word for word, why it has its outcome, and what it changed",
  async (stack) => {
    const numbers = '"public_metadata":{"id":12345678901234567890,"share":1.10,"huge":1e400}';
    const user = aClerkUser({ id: ADA, updated_at: 1, public_metadata: {} });
    const event = JSON.stringify(
      anEvent("user.updated", { ...user, first_name: "Grace", updated_at: 2 }),
    );
    await stack.send(anEvent("user.created", user), { id: "msg_1" });
    await stack.send(event.replace('"public_metadata":{}', numbers), { id: MSG });
    await stack.send(event, { id: "msg_1b" });
    await withConsole(stack, async ({ get, fetch: ask }) => {
      const text = await (await ask(`/api/messages/${MSG}`)).text();
      const detail: MessageDetail = JSON.parse(text);
      const stale = await get<MessageDetail>("/api/messages/msg_1b");
      const mentioned = await get<Messages>(`/api/messages?text=${ADA}`);
      const one = await get<Messages>(`/api/messages?text=${MSG}`);

      assertMatch(detail.payload ?? "", /"id": 12345678901234567890\b/);
      assertMatch(detail.payload ?? "", /"share": 1\.10\b/);
      assertMatch(text, /"after":\{[^}]*"id":12345678901234567890[,}]/);
      assertEquals(detail.changes?.map(({ column }) => column), [
        "first_name",
        "public_metadata",
      ]);
      assertObjectMatch({ ...detail }, {
        outcome: "applied",
        why: "It is the newest.",
        advice: null,
        next_tries: [],
        commands: {
          replay: `deno task replay ${MSG} --env some/env`,
          explain: `deno task explain ${ADA} --env some/env`,
        },
      });
      assertEquals([stale.outcome, stale.changes], ["stale", null]);
      assertMatch(stale.why ?? "", /greater message id and wins|which came first/);
      assertEquals(mentioned.messages.length, 3);
      assertEquals(one.messages.map(({ message_id }) => message_id), [MSG]);
      const gone = await ask("/api/messages/msg_0");
      assertEquals([gone.status, (await gone.json()).error], [
        404,
        "The inbox has no message msg_0: it is past its retention, or never arrived",
      ]);
    });
  },
);

stackTest(
  "a message that failed or could not be read says why, what to do, and when Svix tries again",
  async (stack) => {
    await refuse(stack);
    await stack.send(anEvent("user.created", aClerkUser({ id: ADA, first_name: null })), {
      id: "msg_1",
    });
    await stack.send(anEvent("role.created", aClerkRole("org:cook", [], { id: 5 })), {
      id: "msg_2",
    });
    // All tries are still to come, however long this takes.
    await stack.database.sql`
      update clerk_sync.inbox set received_at = now() + interval '1 minute' where message_id = 'msg_1'
    `;
    await withConsole(stack, async ({ get }) => {
      const failed = await get<MessageDetail>("/api/messages/msg_1");
      const unreadable = await get<MessageDetail>("/api/messages/msg_2");

      assertMatch(failed.why ?? "", /refused it: SQLSTATE P0001: No name: user_2ada/);
      assertEquals(
        failed.advice,
        "Fix the trigger or the constraint that refused it, then replay it.",
      );
      assertMatch(unreadable.why ?? "", /shape that this version knows: data\.id: invalid_type/);
      assertMatch(unreadable.advice ?? "", /^If Clerk sent it, upgrade clerk-sync/);
      const waits = failed.next_tries.map((at) =>
        Math.round((Date.parse(at) - Date.parse(failed.received_at)) / 1000)
      );
      assertEquals(waits, [5, 305, 2105, 9305, 27_305, 63_305, 99_305]);
      await stack.database.sql`
      update clerk_sync.inbox set received_at = now() - interval '20 hours' where message_id = 'msg_1'
    `;
      const late = await get<MessageDetail>("/api/messages/msg_1");
      assertEquals(late.next_tries.length, 1);
    });
  },
);

stackTest(
  "the console explains an id, an address, a name and a message, and says when nothing is known",
  async (stack) => {
    await stack.send(anEvent("user.created", aClerkUser({ id: ADA })), { id: MSG });
    await stack.send(
      anEvent("organization.created", aClerkOrganization({ id: "org_1", name: "Lantern" })),
    );
    const [row] = await stack.database.sql`select email from public.profiles`;
    await withConsole(stack, async ({ get, fetch: ask }) => {
      const ids = async (asked: string): Promise<[string[], string | undefined]> => {
        const { objects, hint } = await get<Explained>(
          `/api/explain?q=${encodeURIComponent(asked)}`,
        );
        return [objects.map(({ id }) => id), hint];
      };

      assertEquals(await ids(ADA), [[ADA], undefined]);
      assertEquals(await ids(` ${row?.email} `), [[ADA], undefined]);
      assertEquals(await ids("marlowe"), [[ADA], undefined]);
      assertEquals(await ids("LANTERN"), [["org_1"], undefined]);
      assertEquals(await ids(MSG), [[ADA], `${MSG} is about ${ADA}.`]);
      assertEquals(await ids("user_0"), [
        [],
        'Nothing is known of "user_0": there is no row, no event and no deletion.',
      ]);
      assertEquals(await ids("nobody"), [
        [],
        'Nobody here, and no organization, is called "nobody".',
      ]);
      assertEquals(await ids("msg_0"), [[], 'The inbox has no message "msg_0".']);
      const { objects: [ada] } = await get<Explained>(`/api/explain?q=${ADA}`);
      assertEquals([ada?.made_by, ada?.events[0]?.has_payload], [MSG, true]);
      assertEquals((await ask("/api/explain?q=")).status, 400);
    });
  },
);

stackTest(
  "a replay says of each message whether it is fixed; a dry run changes nothing",
  async (stack) => {
    const { sql } = stack.database;
    await refuse(stack);
    for (const id of ["user_1", "user_2"]) {
      const user = aClerkUser({ id, first_name: null });
      await stack.send(anEvent("user.created", user), { id: `msg_${id}` });
    }
    await stack.send(anEvent("user.created", aClerkUser({ id: "user_3" })), { id: "msg_user_3" });
    await withConsole(stack, async ({ lines, post }) => {
      const state = (): Promise<unknown> =>
        sql`
        select to_jsonb(inbox) as row from clerk_sync.inbox
        union all select to_jsonb(profiles) from public.profiles
        union all select to_jsonb(objects) from clerk_sync.objects
        union all select to_jsonb(change) from pgmq.q_clerk_changes as change
        order by 1
      `.then((rows) => JSON.stringify(rows));
      const before = await state();

      const failing = await lines<Partial<Replayed & ReplayEnd>>("/api/replay", { dry_run: false });
      await allow(stack);
      const tried = await lines<Partial<Replayed & ReplayEnd>>("/api/replay", { dry_run: true });
      assertEquals(await state(), before);
      const one = await lines<Partial<Replayed & ReplayEnd>>("/api/replay", {
        message_ids: ["msg_user_1", "msg_user_3", "msg_0"],
        dry_run: false,
      });
      const discarded = await post<Discarded>("/api/discard", {
        message_ids: ["msg_user_1", "msg_user_2", "msg_0"],
      });

      assertEquals(failing.map(({ message_id, result }) => [message_id, result]), [
        ["msg_user_1", "still failing"],
        ["msg_user_2", "still failing"],
        [undefined, undefined],
      ]);
      assertEquals(failing[0]?.sentence, "P0001: No name: user_1");
      assertEquals(tried.at(-1), {
        done: true,
        dry_run: true,
        fixed: 2,
        still_failing: 0,
        settled: 0,
        left: 2,
        command: "deno task replay --dry-run --env some/env",
      });
      assertEquals(one.map(({ message_id, result, outcome }) => [message_id, result, outcome]), [
        ["msg_user_1", "fixed", "applied"],
        ["msg_user_3", "settled already", "duplicate"],
        ["msg_0", "gone", "unknown"],
        [undefined, undefined, undefined],
      ]);
      assertObjectMatch({ ...one.at(-1) }, {
        left: 1,
        command: "deno task replay msg_user_1 msg_user_3 msg_0 --env some/env",
      });
      assertEquals(discarded, { discarded: ["msg_user_2"] });
      assertEquals((await sql`select from public.profiles where deleted_at is null`).length, 2);
    });
  },
);

stackTest("the stream shows a delivery within 2 s, and what becomes of it", async (stack) => {
  await refuse(stack);
  await stack.send(anEvent("user.created", aClerkUser({ id: "user_1" })), { id: "msg_1" });
  await withConsole(stack, async ({ fetch: ask, refusals }) => {
    const isOf = (id: string, outcome: string) => (line: StreamLine): boolean =>
      line.kind === "messages" &&
      line.messages.some((each) => each.message_id === id && each.outcome === outcome);

    const first = await readUntil<StreamLine>(await ask("/api/stream"), isOf("msg_1", "applied"));
    assertEquals(first.before.length, 0);
    const status = await readUntil<StreamLine>(
      await ask("/api/stream"),
      ({ kind }) => kind === "status",
    );
    assert(status.line.kind === "status" && status.line.verdict !== "");

    const isFirst = ({ kind }: StreamLine): boolean => kind === "messages";
    await using following = linesOf<StreamLine>(await ask("/api/stream"));
    await following.until(isFirst);
    refusals.note('{"outcome":"bad_signature","status":401}');
    await following.until((line) => line.kind === "refusals" && line.refusals.length === 1);

    // The fastest of three, because the machine may have other work.
    const event = anEvent("user.created", aClerkUser({ id: "user_2", first_name: null }));
    const delays: number[] = [];
    for (const id of ["msg_2", "msg_3", "msg_4"]) {
      await using streaming = linesOf<StreamLine>(await ask("/api/stream"));
      await streaming.until(isFirst);
      const sentAt = performance.now();
      await stack.send(event, { id });
      const seen = await streaming.until(isOf(id, "failed"));
      delays.push(performance.now() - sentAt);
      assert(seen.line.kind === "messages" && seen.line.messages.length === 1);
      assertEquals(seen.line.skipped, 0);
    }
    assertLess(Math.min(...delays), 2000);

    await allow(stack);
    await stack.send(event, { id: "msg_2" });
    await following.until(isOf("msg_2", "applied"));

    // More than a line takes.
    await using busy = linesOf<StreamLine>(await ask("/api/stream"));
    await busy.until(isFirst);
    await stack.database.sql`
      insert into clerk_sync.inbox (message_id, outcome, received_at)
      select 'msg_flood_' || n, 'applied', now() + make_interval(secs => n / 1000.0)
      from generate_series(1, 260) as n
    `;
    const flood = await busy.until(isOf("msg_flood_260", "applied"));
    assert(flood.line.kind === "messages");
    assertEquals([flood.line.messages.length, flood.line.skipped], [200, 60]);
  });
});

stackTest(
  "the stream says when the database is away, and goes on; a stop ends it and leaves nothing",
  async (stack) => {
    await withConsole(stack, async ({ fetch: ask, console }) => {
      await stack.database.sql`
      alter function public.list_clerk_messages(text[], text, timestamptz, timestamptz, text, text, jsonb, boolean, integer, boolean, text)
        rename to list_clerk_messages_away
    `;
      // The API may hear of it later than the stream asks.
      await stack.services.api.reload();
      const away = await readUntil<StreamLine>(
        await ask("/api/stream"),
        ({ kind }) => kind === "trouble",
      );
      assert(away.line.kind === "trouble");
      assertMatch(away.line.error, /^Cannot start as the database lacks the functions/);

      const response = await ask("/api/stream");
      const ended = response.text();
      await ask("/api/status").then((answer) => answer.body?.cancel());
      await console.stop();

      assertMatch(await ended, /\n$/);
      const { port } = console;
      const refused = await fetch(`http://127.0.0.1:${port}/`).then(
        () => "answered",
        () => "refused",
      );
      assertEquals(refused, "refused");
    });
  },
);

stackTest("the console shows the queue and puts dead letters back", async (stack) => {
  const { sql } = stack.database;
  await stack.send(anEvent("user.created", aClerkUser({ id: "user_1" })), { id: "msg_1" });
  await stack.send(anEvent("user.created", aClerkUser({ id: "user_2" })), { id: "msg_2" });
  const [read] = await sql`select message from public.read_clerk_changes(1, 60) as message`;
  await sql`
    select public.settle_clerk_changes(jsonb_build_array(jsonb_build_object(
      'message_id', ${read?.message.message_id}::bigint, 'verdict', 'dead', 'error_class', 'http_410')))
  `;
  await withConsole(stack, async ({ get, post }) => {
    const queue = await get<Queue>("/api/queue");
    const redriven = await post<Redriven>("/api/redrive", {});
    const after = await get<Queue>("/api/queue");

    assertObjectMatch({ ...queue }, {
      counts: { waiting: 1, in_flight: 0, retrying: 0, dead: 1 },
      changes: [
        { state: "dead", topic: "profile.created", object_id: "user_1", error_class: "http_410" },
        { state: "waiting", topic: "profile.created", object_id: "user_2", caused_by: "msg_2" },
      ],
      command: "deno task work --redrive --env some/env",
    });
    assertEquals(queue.changes[0]?.id, read?.message.change_id);
    assertEquals(redriven, { redriven: 1 });
    assertEquals([after.counts.waiting, after.counts.dead], [2, 0]);
    await get("/api/status");
    assertEquals((await get<Queue>("/api/queue")).depth.map(([, depth]) => depth), [2]);
  });
});

stackTest("the console compares the tables with Clerk, and shows the runs", async (stack) => {
  await using clerk = serveClerkApi(anInstance({ users: 3 }));
  const options = { clerk: { secretKey: clerk.secretKey, apiUrl: clerk.url } };
  await withConsole(stack, async ({ lines, get, fetch: ask }) => {
    const dry = await lines<ReconcileEnd>("/api/reconcile", { dry_run: true });
    const [first, second] = await Promise.all([
      ask("/api/reconcile", { json: { dry_run: false } }),
      ask("/api/reconcile", { json: { dry_run: false } }),
    ]);
    const bodies = await Promise.all([first.text(), second.text()]);
    const { runs, surplus, rows, command } = await get<Runs>("/api/runs");
    const { newest_user_change } = await get<AtClerk>("/api/clerk");
    const [newest] = await stack.database.sql`select max(updated_at) as at from public.profiles`;

    assertObjectMatch({ ...dry.at(-1) }, {
      done: true,
      exit: 3,
      summary: "The tables differ from Clerk. Nothing was written.",
      tallies: { user: { missing: 3 } },
    });
    assert(dry.length > 1, "control: there was progress");
    assertEquals(newest_user_change, newest?.at.toISOString());
    assertEquals([first.status, second.status].sort(), [200, 409]);
    assertMatch(bodies.join(), /"summary":"The tables are now the same as Clerk\."/);
    assertMatch(bodies.join(), /A reconcile is running already/);
    assertEquals(
      runs.map((
        { kind, by, state, dry_run, tallies },
      ) => [kind, by, state, dry_run, tallies.user?.missing]),
      [
        ["reconcile", "command", "finished", false, 3],
        ["reconcile", "command", "finished", true, 3],
      ],
    );
    assertEquals([surplus, rows?.user, command], [
      0,
      { here: 3, clerk: 3 },
      "deno task reconcile --env some/env",
    ]);
    assertEquals((await stack.database.sql`select from public.profiles`).length, 3);
  }, options);
});

stackTest(
  "the console shows how much arrived, what was refused, and nothing of a deleted person",
  async (stack) => {
    await stack.send(anEvent("user.created", aClerkUser({ id: ADA })), { id: "msg_1" });
    await stack.send(anEvent("user.deleted", aDeletedClerkUser(ADA)), { id: "msg_2" });
    await withConsole(stack, async ({ get, refusals }) => {
      refusals.note('{"outcome":"missing_headers","status":401}');

      const activity = await get<Activity>("/api/activity?minutes=5");
      const refused = await get<Refusals>("/api/refusals");
      const erased = await get<MessageDetail>("/api/messages/msg_1");
      const { objects: [ada] } = await get<Explained>(`/api/explain?q=${ADA}`);

      assertEquals(activity.minutes.reduce((sum, { applied }) => sum + applied, 0), 2);
      assertLess(activity.latency[0]?.p95_ms ?? Infinity, 60_000);
      assertObjectMatch({ ...refused }, {
        refusals: [{ status: 401, outcome: "missing_headers", message_id: null }],
        counts: { missing_headers: 1 },
      });
      assertEquals([erased.payload, erased.has_payload], [null, false]);
      assertMatch(erased.changes_unknown ?? "", /erased/);
      assertEquals(ada?.left?.find(({ table }) => table === "public.profiles")?.rows, 1);
    });
  },
);

stackTest("the console says that more have a name only when more have", async (stack) => {
  for (const id of ["user_1", "user_2", "user_3", "user_4", "user_5"]) {
    await stack.send(anEvent("user.created", aClerkUser({ id })));
  }
  await withConsole(stack, async ({ get }) => {
    const five = await get<Explained>("/api/explain?q=marlowe");
    await stack.send(anEvent("user.created", aClerkUser({ id: "user_6" })));
    const six = await get<Explained>("/api/explain?q=marlowe");

    assertEquals([five.objects.length, five.hint], [5, undefined]);
    assertEquals(six.objects.length, 5);
    assertMatch(
      six.hint ?? "",
      /^More have that name, .* An address or an id finds any of them\.$/,
    );
  });
});

stackTest(
  "the page is served from memory, and its bundle has the page's sources only",
  async (stack) => {
    await withConsole(stack, async ({ origin }) => {
      const types: Record<string, string | null> = {};
      for (const path of ["/", "/main.js", "/main.css"]) {
        const response = await fetch(`${origin}${path}`);
        types[path] = response.headers.get("content-type");
        assert((await response.text()).length > 0);
      }
      const head = await fetch(`${origin}/`, { method: "HEAD" });

      assertEquals(types, {
        "/": "text/html; charset=utf-8",
        "/main.js": "text/javascript; charset=utf-8",
        "/main.css": "text/css; charset=utf-8",
      });
      assertEquals([head.status, await head.text()], [200, ""]);
      const start = async (at: string): Promise<string> => await (await fetch(`${at}/`)).text();
      assertMatch(await start(origin), /<body data-command="deno task dev">/);
      await withConsole(stack, async ({ origin }) => {
        assertMatch(
          await start(origin),
          /<body data-command="npx x console --env &#34;&#60;b">/,
        );
      }, { refusals: undefined, command: "npx x", envFlag: ' --env "<b' });
    });
  },
);

stackTest("a page of 100,000 messages takes less than 100 ms, however far down", async (stack) => {
  await receive(stack, 100_000);
  await stack.database.sql`analyze clerk_sync.inbox`;
  await withConsole(stack, async ({ get }) => {
    const times: number[] = [];
    const seen = new Set<string>();
    const read = async (after: string): Promise<string> => {
      const started = performance.now();
      const { messages, next } = await get<Messages>(`/api/messages?after=${after}`);
      times.push(performance.now() - started);
      messages.forEach(({ message_id }) => seen.add(message_id));
      return next ?? "";
    };

    let next = await read("");
    while (times.length < 20) next = await read(next);
    const until = new Date(Date.now() - 99_000_000).toISOString();
    const { messages: [old] } = await get<Messages>(`/api/messages?limit=1&until=${until}`);
    const { received_at = "", message_id = "" } = old ?? {};
    const deep = btoa(JSON.stringify({ received_at, message_id }))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    times.length = 0;
    next = deep;
    while (times.length < 5) next = await read(next);
    assertEquals(seen.size, 2_500);
    // The best, because the machine may be busy.
    while (Math.min(...times) >= 100 && times.length < 50) await read(deep);

    assertLess(Math.min(...times), 100);
  });
});
