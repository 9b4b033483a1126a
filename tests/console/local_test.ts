import { assert, assertEquals, assertMatch } from "@std/assert";
import type {
  Events,
  Messages,
  People,
  SessionToken,
  TableRows,
  Tables,
  Tried,
  TryEnd,
} from "../../console/api.ts";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import { everyEvent } from "../fixtures/every_event.ts";
import { stackTest } from "../test_stack.ts";
import { withConsole } from "./a_console.ts";

type Line = Partial<Tried & TryEnd>;

stackTest(
  "the console composes an event of each of Clerk's types, which the webhook takes",
  async (stack) => {
    await stack.send(anEvent("user.created", aClerkUser({ id: "user_1" })));
    await withConsole(stack, async ({ get, lines }) => {
      const { types } = await get<Events>("/api/events");
      const answers = await Promise.all(types.map(async ({ type, defaults }) => {
        const body = JSON.stringify(defaults);
        const [sent] = await lines<Line>("/api/try", { type, body, mode: "once", count: 1 });
        return [type, sent?.outcome ?? ""] as const;
      }));

      assertEquals(
        types.map(({ type }) => type).sort(),
        everyEvent().map(({ type }) => type).sort(),
      );
      const ignored = /^(?:session|waitlistEntry|email|sms)\./;
      const odd = answers.filter(([type, outcome]) =>
        outcome !== (ignored.test(type) ? "ignored" : "applied") && outcome !== "stale"
      );
      assertEquals(odd, []);
      const update = types.find(({ type }) => type === "user.updated")?.defaults;
      assertEquals((update?.data as { id: string }).id, "user_1");
    });
  },
);

stackTest(
  "the console sends once, twice, shuffled, in a burst and with a wrong signature",
  async (stack) => {
    const { sql } = stack.database;
    await withConsole(stack, async ({ lines, get, fetch: ask }) => {
      const send = async (
        mode: string,
        count: number,
        body: string | null = null,
      ): Promise<Line[]> =>
        await lines<Line>("/api/try", { type: "user.created", body, mode, count });
      const outcomes = (sent: readonly Line[]): unknown[] => sent.map(({ outcome }) => outcome);

      const body = JSON.stringify(anEvent("user.created", aClerkUser({ id: "user_1" })))
        .replace('"username":null', '"username":null,"big":12345678901234567890');
      const once = await send("once", 1, body);
      const [payload] = await sql`select payload #>> '{data,big}' as big from clerk_sync.inbox`;
      const twice = await send("twice", 1);
      const burst = await send("burst", 20);
      const wrong = await send("wrong_signature", 1);
      const shuffled = await send("shuffled", 6, body);
      const [row] = await sql`
      select version::float8 = (
        select max((payload #>> '{data,updated_at}')::float8) from clerk_sync.inbox where object_id = 'user_1'
      ) as is_newest
      from clerk_sync.objects where id = 'user_1'
    `;

      assertEquals(outcomes(once), ["applied", undefined]);
      assertEquals(payload?.big, "12345678901234567890");
      assertEquals(outcomes(twice), ["applied", "duplicate", undefined]);
      assertEquals(twice[0]?.message_id, twice[1]?.message_id);
      assertEquals(new Set(outcomes(burst.slice(0, -1))), new Set(["applied"]));
      assertEquals((await sql`select from public.profiles`).length, 22);
      assertEquals(wrong.map(({ status }) => status), [401, undefined]);
      assertEquals(shuffled.length, 7);
      assertEquals(row?.is_newest, true);
      assertEquals(
        [twice, burst, wrong].map((sent) => sent.at(-1)?.command),
        [
          "deno task send user.created --repeat 2 --env some/env",
          "deno task send user.created --count 20 --env some/env",
          "deno task send user.created --secret whsec_… --env some/env",
        ],
      );
      assertEquals((await get<Messages>("/api/messages?limit=500")).total, 28);
      for (
        const json of [
          { type: "user.created", body: "[]", mode: "burst", count: 2 },
          { type: "nope.created", body: null, mode: "once", count: 1 },
          { type: "user.created", body: null, mode: "once", count: 1001 },
          { type: "user.created", body: null, mode: "thrice", count: 1 },
        ]
      ) {
        const response = await ask("/api/try", { json });
        const { error } = await response.json();
        assertEquals(response.status, 400, error);
      }
    });
  },
);

stackTest("a burst of users gives no two of them one address", async (stack) => {
  await withConsole(stack, async ({ lines }) => {
    const edited = JSON.stringify(anEvent("user.created", aClerkUser({ first_name: "Zoë" })));
    for (const body of [null, edited]) {
      await lines<Line>("/api/try", { type: "user.created", body, mode: "burst", count: 12 });
    }
    // About one that is stored.
    await lines<Line>("/api/try", { type: "user.updated", body: null, mode: "burst", count: 12 });

    const [found] = await stack.database.sql`
      select
        count(*)::int as users,
        count(distinct email)::int as addresses,
        count(distinct full_name) > 5 as "haveNames",
        (count(*) filter (where first_name = 'Zoë'))::int as edited
      from public.profiles
    `;
    assertEquals({ ...found }, { users: 36, addresses: 36, haveNames: true, edited: 12 });
  });
});

stackTest("view as: odd names and views that fail leave the tables readable", async (stack) => {
  await stack.database.sql.unsafe(`
    create table public."a.b ""c""" ("d.e" integer primary key);
    insert into public."a.b ""c""" values (2), (1);
    create table public.empty ();
    create view public.fails as select 1 as quotient where 1 / (0 * random())::integer = 1;
  `);
  await withConsole(stack, async ({ get, fetch: ask }) => {
    const { tables } = await get<Tables>("/api/tables");
    const odd = await get<TableRows>(`/api/tables/${encodeURIComponent('a.b "c"')}`);
    const failed = await ask("/api/tables/fails");

    assertEquals(
      tables.filter(({ is_ours }) => !is_ours).map((
        { name, rows, columns },
      ) => [name, rows, columns]),
      [['a.b "c"', 2, ["d.e"]], ["empty", 0, []], ["fails", null, ["quotient"]]],
    );
    assertEquals(odd, { rows: [{ "d.e": 1 }, { "d.e": 2 }], total: 2 });
    assertEquals((await failed.json()).error, "The database refused it with SQLSTATE 22012");
  });
});

stackTest("view as: a token shows what that person reads, beside what exists", async (stack) => {
  const { sql } = stack.database;
  for (const id of ["user_1", "user_2"]) {
    await stack.send(anEvent("user.created", aClerkUser({ id })));
  }
  await stack.send(
    anEvent("organization.created", aClerkOrganization({ id: "org_1", name: "Lantern" })),
  );
  const member = { user: "user_1", organization: "org_1" };
  await stack.send(anEvent("organizationMembership.created", aClerkMembership(member)));
  await sql.unsafe(`
    create table public.notes (number bigint primary key, "odd name" text);
    insert into public.notes values (2, 'b'), (12345678901234567, 'a'), (1, 'c');
  `);
  await withConsole(stack, async ({ get, post, fetch: ask }) => {
    const rowsAs = async (json: unknown): Promise<number> => {
      const { token } = await post<SessionToken>("/api/session-token", json);
      const { apiUrl, keys } = stack.services;
      const response = await fetch(`${apiUrl}/rest/v1/organization_memberships`, {
        headers: {
          apikey: keys.publishable,
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
      });
      const rows = await response.json();
      return Array.isArray(rows) ? rows.length : -1;
    };

    const { people } = await get<People>("/api/people");
    const found = await get<People>("/api/people?text=USER_1");
    const { tables } = await get<Tables>("/api/tables");
    const notes = await (await ask("/api/tables/notes?limit=2")).text();
    const memberships = await get<TableRows>("/api/tables/organization_memberships");

    assertEquals(people.map(({ id }) => id).sort(), ["user_1", "user_2"]);
    assertEquals(found.people[0]?.organizations, [
      { id: "org_1", name: "Lantern", role: "org:member" },
    ]);
    assertEquals(
      tables.map(({ name, rows, has_rls, is_ours }) => [name, rows, has_rls, is_ours]),
      [
        ["notes", 3, false, false],
        ["organization_invitations", 0, true, true],
        ["organization_memberships", 1, true, true],
        ["organization_roles", 0, true, true],
        ["organizations", 1, true, true],
        ["profiles", 2, true, true],
        ["subscription_items", 0, true, true],
      ],
    );
    assertEquals(tables[0]?.columns, ["number", "odd name"]);
    assertEquals(tables[0]?.key, ["number"]);
    assertMatch(notes, /^\{"rows":\[\{"number":1,[^}]*\},\{"number":2,[^}]*\}\],"total":3\}$/);
    assertMatch(await (await ask("/api/tables/notes")).text(), /"number":12345678901234567,/);
    assertEquals(memberships.total, 1);
    assertEquals(await rowsAs({ sub: "user_1" }), 1);
    assertEquals(await rowsAs({ sub: "user_1", org_id: "org_1", org_role: "admin" }), 1);
    assertEquals(await rowsAs({ sub: "user_2" }), 0);
    assert(await rowsAs({ sub: null }) <= 0);
    for (const name of ["nope", "notes;drop", "pg_class", "%2e%2e"]) {
      const response = await ask(`/api/tables/${name}`);
      await response.body?.cancel();
      assertEquals(response.status, 404, name);
    }
    assertEquals((await ask("/api/session-token", { json: { sub: "ada" } })).status, 400);
  });
});
