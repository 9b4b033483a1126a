import { assertEquals, assertNotEquals } from "@std/assert";
import type { SupabaseClient } from "@supabase/supabase-js";
import { carryOut } from "../../adopt/plan.ts";
import { planUpgrade } from "../../adopt/upgrade.ts";
import { schemaDifference } from "../../tools/dump_schema.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { connect } from "../../functions/_shared/clerk_sync/supabase.ts";
import { createHandler } from "../../functions/clerk-webhook/handler.ts";
import { createInbox } from "../../functions/clerk-webhook/inbox.ts";
import { createVerifier } from "../../functions/clerk-webhook/verify.ts";
import { createQueue } from "../../functions/clerk-worker/drain/queue.ts";
import { readStatus } from "../../functions/clerk-worker/status.ts";
import { VERSION } from "../../functions/clerk-worker/version.ts";
import {
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  anId,
} from "../../local/clerk/events.ts";
import { signedHeadersFor } from "../../local/clerk/deliver.ts";
import { createDatabase, dropDatabase } from "../../local/postgres/databases.ts";
import { migrate } from "../../local/postgres/migrate.ts";
import { type Services, startServices } from "../../local/services.ts";
import { createHandler as createOldHandler } from "../fixtures/releases/0.9.0/supabase/functions/clerk-webhook/handler.ts";
import { createInbox as createOldInbox } from "../fixtures/releases/0.9.0/supabase/functions/clerk-webhook/inbox.ts";
import { createVerifier as createOldVerifier } from "../fixtures/releases/0.9.0/supabase/functions/clerk-webhook/verify.ts";
import { createQueue as createOldQueue } from "../fixtures/releases/0.9.0/supabase/functions/clerk-worker/drain/queue.ts";
import { readStatus as readOldStatus } from "../fixtures/releases/0.9.0/supabase/functions/clerk-worker/status.ts";
import { type TestDatabase, withTestDatabase } from "../test_database.ts";
import { testServer } from "../test_server.ts";
import { aLaterRelease, copyRelease, type ReleaseCopy } from "./release.ts";

/** The functions of one release: what they answer to a delivery, to a drain and to a monitor. */
interface Functions {
  deliver(event: Json): Promise<unknown>;
  drain(): Promise<string[]>;
  version(): Promise<string>;
}

function functionsOf(services: Services, release: "old" | "new"): Functions {
  const { apiUrl, keys, signingSecret } = services;
  const ingest = connect(apiUrl, keys.clerkIngest);
  const worker: SupabaseClient = connect(apiUrl, keys.clerkWorker);
  const log = (): void => {};
  const handle = release === "old"
    ? createOldHandler({
      verify: createOldVerifier(signingSecret),
      inbox: createOldInbox(ingest),
      log,
    })
    : createHandler({ verify: createVerifier(signingSecret), inbox: createInbox(ingest), log });
  const queue = release === "old" ? createOldQueue(worker) : createQueue(worker);
  return {
    deliver: async (event) => {
      const body = JSON.stringify(event);
      const headers = signedHeadersFor({ id: anId("msg"), body }, signingSecret);
      const url = "http://127.0.0.1/clerk-webhook";
      const response = await handle(new Request(url, { method: "POST", headers, body }));
      return (await response.json()).outcome;
    },
    drain: async () => {
      const { changes, malformed } = await queue.read(1, 1);
      assertEquals(malformed, []);
      await queue.settle(changes.map((change) => ({ ...change, verdict: "done" })));
      return changes.map(({ topic }) => topic);
    },
    version: async () =>
      (release === "old" ? await readOldStatus(worker) : await readStatus(worker)).version,
  };
}

/** All rows of ours as JSON, by table, without the columns that the upgrade adds and drops. */
async function rowsOf({ sql }: TestDatabase): Promise<Record<string, unknown>> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname in ('public', 'clerk_sync') or schemaname = 'pgmq' and tablename ~ 'clerk'
  `;
  const rows: Record<string, unknown> = {};
  for (const { name } of tables) {
    const [all] = await sql.unsafe(
      `select coalesce(jsonb_agg(data order by data::text), '[]') as data
       from (select to_jsonb(row) - '{legal_accepted_at,kind}'::text[] as data from ${name} as row) as rows`,
    );
    rows[name] = all?.data;
  }
  return rows;
}

/** What the difference of schemas leaves out: the queue's tables, settings of roles, and comments of schemas. */
async function besides({ sql }: TestDatabase): Promise<unknown> {
  return [
    ...await sql`
      select format('%s.%s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod)) as what
      from pg_catalog.pg_attribute
      where attrelid::regclass::text ~ '^pgmq\\.[qa]_clerk' and attnum > 0 and not attisdropped

      union all
      select indexdef from pg_catalog.pg_indexes where schemaname = 'pgmq' and tablename ~ 'clerk'

      union all
      select nspname || obj_description(oid, 'pg_namespace')
      from pg_catalog.pg_namespace
      where nspname in ('clerk', 'clerk_sync')

      order by what
    `,
  ];
}

/** A database of a project with release 0.9.0, and its folder. */
async function withRelease(
  use: (database: TestDatabase, release: ReleaseCopy) => Promise<void>,
): Promise<void> {
  await using release = await copyRelease();
  const server = await testServer();
  const template = `release_${crypto.randomUUID().replaceAll("-", "")}`;
  await createDatabase(server, template);
  try {
    await migrate(server.url(template), () => {}, `${release.dir}/supabase/migrations`);
    await withTestDatabase((database) => use(database, release), { template });
  } finally {
    await dropDatabase(server, template);
  }
}

async function upgrade({ server, name }: TestDatabase, { dir }: ReleaseCopy): Promise<string[]> {
  const { steps } = await planUpgrade(dir, aLaterRelease);
  await carryOut(dir, steps);
  return await migrate(server.url(name), () => {}, `${dir}/supabase/migrations`);
}

const OPTIONS = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "an upgrade loses no row, no message of the queue and no event, and either release's functions work before and after",
  OPTIONS,
  () =>
    withRelease(async (database, release) => {
      const { server, name, sql } = database;
      await using services = await startServices({
        postgres: server,
        database: name,
        functions: false,
      });
      const [old, today] = [functionsOf(services, "old"), functionsOf(services, "new")];
      const ada = aClerkUser({ id: "user_ada", first_name: "Ada", legal_accepted_at: 1e12 });
      const at = Date.now();
      assertEquals(
        [
          await old.deliver(anEvent("user.created", ada)),
          await old.deliver(anEvent("user.created", aClerkUser({ id: "user_bob" }))),
          await old.deliver(anEvent("user.deleted", aDeletedClerkUser("user_bob"))),
          await old.deliver(
            anEvent("organization.created", aClerkOrganization({ id: "org_acme" })),
          ),
          await old.deliver({ ...anEvent("user.created", {}), timestamp: at }),
          await today.deliver(anEvent("user.created", aClerkUser({ id: "user_eve" }))),
        ],
        ["applied", "applied", "applied", "applied", "unreadable", "applied"],
      );
      assertEquals([await old.drain(), await today.drain()], [["profile.created"], [
        "profile.created",
      ]]);
      assertEquals([await old.version(), await today.version()], ["0.9.0", "0.9.0"]);
      const before = await rowsOf(database);

      const applied = await upgrade(database, release);
      // The API hears of the change a moment later.
      await services.api.reload();

      assertEquals(applied.length, 1);
      assertEquals(await rowsOf(database), before);
      assertNotEquals(before["pgmq.q_clerk_changes"], []);
      assertEquals([await old.version(), await today.version()], [VERSION, VERSION]);
      assertEquals(
        [
          await old.deliver(anEvent("user.updated", { ...ada, first_name: "A.", updated_at: at })),
          await today.deliver(
            anEvent("user.updated", { ...ada, first_name: "Augusta", updated_at: at + 1 }),
          ),
          await old.deliver(anEvent("user.updated", aClerkUser({ id: "user_bob" }))),
        ],
        ["applied", "applied", "stale"],
      );
      assertEquals([(await old.drain()).length, (await today.drain()).length], [1, 1]);
      const [row] = await sql`
      select first_name, legal_accepted_at is not null as accepted from public.profiles where id = 'user_ada'
    `;
      assertEquals(row, { first_name: "Augusta", accepted: true });
    }),
);

Deno.test(
  "an upgraded schema is a fresh one, and the older release's is not",
  OPTIONS,
  () =>
    withRelease(async (database, release) => {
      const { server, name } = database;
      await withTestDatabase(async (fresh) => {
        const difference = (): Promise<string> =>
          schemaDifference(server.superuserUrl(name), server.superuserUrl(fresh.name));
        assertNotEquals(await difference(), "");
        assertNotEquals(await besides(database), await besides(fresh));

        await upgrade(database, release);

        assertEquals(await difference(), "");
        assertEquals(await besides(database), await besides(fresh));
      });
    }),
);
