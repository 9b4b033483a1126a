import { assertEquals, assertMatch } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { recipeTest } from "../default_privileges.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";
import { ROOT } from "./pages.ts";

// Runs the SQL of docs/downstream.md and checks that it does what the page says.

const PAGE = new URL("../../docs/downstream.md", import.meta.url);
const ADA = "user_ada";
const BASE = 1_760_000_000_000;

/** The SQL blocks of the page, by the heading above them. */
async function recipes(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const section of (await Deno.readTextFile(PAGE)).split(/^## /m).slice(1)) {
    const [heading = ""] = section.split("\n");
    const [, sql] = /```sql\n([^]*?)```/.exec(section) ?? [];
    if (sql !== undefined) found.set(heading.trim(), sql);
  }
  return found;
}

const RECIPES = await recipes();

/** Runs recipes on a database, in the order given. */
async function follow({ sql }: TestDatabase, ...headings: readonly string[]): Promise<void> {
  for (const heading of headings) {
    const recipe = RECIPES.get(heading);
    if (recipe === undefined) throw new Error(`Cannot find the recipe ${heading} on the page`);
    await sql.unsafe(recipe).simple();
  }
}

function user(fields: { [key: string]: Json } = {}, at = BASE): Json {
  return anEvent("user.updated", aClerkUser({ id: ADA, updated_at: at, ...fields }), {
    timestamp: at,
  });
}

async function announced({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ topic: string }[]>`
    select message ->> 'topic' as topic from pgmq.q_clerk_changes order by msg_id
  `;
  return rows.map(({ topic }) => topic);
}

const ADDRESS = "A trigger for one column";
const ONCE = "Do each change once";
const BIO = "A column of your own that users may edit";
const WORKSPACE = "A row of your own when a profile appears";
const PLAN = "A column from metadata";
const ERASE = "Erase what is yours";
const FAILED = "When your trigger raises";

Deno.test("every recipe of the page is tested here", () => {
  assertEquals(
    [...RECIPES.keys()].sort(),
    [ADDRESS, ONCE, BIO, WORKSPACE, PLAN, ERASE, FAILED].sort(),
  );
});

recipeTest("a trigger for one column fires only when that column changes", async (database) => {
  await follow(database, ADDRESS);
  // The trigger that the page warns against, beside it.
  await database.sql.unsafe(`
    create trigger _500_note_every_update after update of email on public.profiles
      for each row execute function public.tg_profiles__note_address()
  `);
  const noted = async (): Promise<number> =>
    (await database.sql`select from public.address_changes`).length;
  const address = (email_address: string): { [key: string]: Json } => ({
    primary_email_address_id: "idn_1",
    email_addresses: [{
      id: "idn_1",
      email_address,
      verification: { status: "verified" },
    }],
  });
  await database.ingest("msg_1", user(address("ada@example.com")));

  await database.ingest(
    "msg_2",
    user({ ...address("ada@example.com"), first_name: "G" }, BASE + 1),
  );
  const anotherName = await noted();
  await database.sql`drop trigger _500_note_every_update on public.profiles`;
  await database.ingest(
    "msg_3",
    user({ ...address("ada@example.com"), first_name: "H" }, BASE + 2),
  );
  const yetAnother = await noted() - anotherName;
  await database.ingest("msg_4", user(address("grace@example.com"), BASE + 3));

  assertEquals([anotherName, yetAnother, await noted()], [1, 0, 2]);
});

recipeTest(
  "a change that is read again has the same id, even after a redrive",
  async (database) => {
    const { sql } = database;
    await follow(database, ONCE);
    await database.ingest("msg_1", user());
    const handle = async (): Promise<{ done: number; message: number }> => {
      await sql`update pgmq.q_clerk_changes set vt = now() - interval '1 second'`;
      const [taken] = await sql`select change from public.read_clerk_changes(1, 60) as change`;
      const { change_id, message_id } = taken?.change ?? {};
      const done = await sql.begin(async (transaction) => {
        await transaction`set local role service_role`;
        return await transaction`
          insert into public.handled_changes (change_id) values (${change_id})
          on conflict do nothing returning 1
        `;
      });
      return { done: done.length, message: message_id };
    };

    const first = await handle();
    const second = await handle();
    await sql`
    select public.settle_clerk_changes(jsonb_build_array(jsonb_build_object(
      'message_id', ${first.message}::int, 'verdict', 'dead')))
  `;
    await sql`select public.redrive_clerk_changes()`;
    const revived = await handle();

    assertEquals([first.done, second.done, revived.done], [1, 0, 0]);
    assertEquals(revived.message === first.message, false, "control: its message id differs");
  },
);

recipeTest(
  "users edit only the column granted to them, and the sync leaves it alone",
  async (database) => {
    await follow(database, BIO);
    await database.ingest("msg_1", user());
    const asAda = (statement: string): Promise<unknown> =>
      database.connect(1).begin(async (sql) => {
        await sql`select set_config('request.jwt.claims', ${JSON.stringify({ sub: ADA })}, true)`;
        await sql`set local role authenticated`;
        await sql.unsafe(statement);
      });

    await asAda(`update public.profiles set bio = 'hello' where id = '${ADA}'`);
    const refused = await asAda(`update public.profiles set first_name = 'Eve'`).then(
      () => "allowed",
      (error) => error.code,
    );
    await database.ingest("msg_2", user({ first_name: "Grace" }, BASE + 1));

    const [row] = await database.sql`select first_name, bio from public.profiles`;
    assertEquals({ ...row }, { first_name: "Grace", bio: "hello" });
    assertEquals(refused, "42501");
    assertEquals(await announced(database), ["profile.created", "profile.updated"]);
  },
);

recipeTest(
  "a workspace is created once with the profile, even if the profile starts as an id alone",
  async (database) => {
    await follow(database, WORKSPACE);

    await database.ingest("msg_1", user());
    await database.ingest("msg_2", user({ first_name: "Grace" }, BASE + 1));
    await database.ingest("msg_3", anEvent("user.deleted", aDeletedClerkUser("user_never")));

    const rows = await database.sql<{ owner_id: string }[]>`select owner_id from public.workspaces`;
    assertEquals(rows.map(({ owner_id }) => owner_id), [ADA]);
  },
);

recipeTest("a generated column follows the metadata", async (database) => {
  await follow(database, PLAN);

  await database.ingest("msg_1", user({ public_metadata: { plan: "pro" } }));

  const [row] = await database.sql`select plan from public.profiles`;
  assertEquals(row?.plan, "pro");
});

recipeTest(
  "columns and tables of the application are erased in the same transaction as the user",
  async (database) => {
    await follow(database, BIO, WORKSPACE, ERASE);
    await database.ingest("msg_1", user());
    await database.sql`update public.profiles set bio = 'needle-in-a-haystack'`;
    assertEquals(await database.rowsWith("needle-in-a-haystack"), 1);

    await database.ingest("msg_2", anEvent("user.deleted", aDeletedClerkUser(ADA)));

    assertEquals(await database.rowsWith("needle-in-a-haystack"), 0);
    const [row] = await database.sql`select count(*)::int as rows from public.workspaces`;
    assertEquals(row?.rows, 0);
  },
);

databaseTest("the page's query finds an event that the database refused", async (database) => {
  await database
    .sql`alter table public.profiles add constraint no_grace check (first_name <> 'Grace')`;
  await database.ingest("msg_1", user({ first_name: "Grace" }));

  const rows = await database.sql.unsafe(RECIPES.get(FAILED) ?? "");

  assertEquals(rows.map(({ message_id }) => message_id), ["msg_1"]);
  assertMatch(JSON.stringify(rows[0]?.error), /"sqlstate": ?"23514"/);
});

databaseTest(
  "the same data again fires no trigger",
  async (database) => {
    await database.sql.unsafe(`
    create table public.firings (operation text);
    create function public.note() returns trigger language plpgsql security definer as
      $$ begin insert into public.firings values (tg_op); return null; end $$;
    create trigger _500_note after insert or update or delete on public.profiles
      for each row execute function public.note();
  `);
    const times = { created_at: BASE, last_sign_in_at: BASE, last_active_at: BASE };
    await database.ingest("msg_1", user(times));

    await database.ingest("msg_1", user(times));
    await database.ingest("msg_2", user(times));
    await database.ingest("msg_3", user(times, BASE - 1));

    const before = await database.sql<
      { operation: string }[]
    >`select operation from public.firings`;
    await database.ingest("msg_4", user({ ...times, last_active_at: BASE + 5 }, BASE + 5));
    const after = await database.sql<{ operation: string }[]>`select operation from public.firings`;
    assertEquals(before.map(({ operation }) => operation), ["INSERT"]);
    assertEquals(after.map(({ operation }) => operation), ["INSERT", "UPDATE"]);
    assertEquals(await announced(database), ["profile.created"]);
  },
);

Deno.test("the handler that the page shows passes the type check", async () => {
  const [, indented = ""] = /```ts\n([^]*?)```/.exec(await Deno.readTextFile(PAGE)) ?? [];
  const worker = new URL("../../functions/clerk-worker/", import.meta.url);
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-handler-" });
  await Deno.writeTextFile(
    `${folder}/notify.ts`,
    indented.replaceAll(/^ {3}/gm, "").replaceAll('"../', `"${worker}`),
  );

  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--config=deno.json", `${folder}/notify.ts`],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();

  await Deno.remove(folder, { recursive: true });
  assertMatch(indented, /defineHandler/);
  assertEquals(success, true, new TextDecoder().decode(stderr));
});
