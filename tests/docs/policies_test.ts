import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { recipeTest } from "../default_privileges.ts";
import type { TestDatabase } from "../test_database.ts";

// Runs each recipe of docs/policies.md on a database with users in it. The users then try what it allows
// and what it forbids.

const PAGE = fileURLToPath(new URL("../../docs/policies.md", import.meta.url));

interface Recipe {
  readonly heading: string;
  readonly sql: string;
}

async function readRecipes(): Promise<Recipe[]> {
  const [, ...sections] = (await Deno.readTextFile(PAGE)).split(/^## /m);
  return sections.flatMap((section) => {
    const [heading = ""] = section.split("\n");
    const sql = [...section.matchAll(/^```sql\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
    return sql.length === 0 ? [] : [{ heading, sql: sql.join("\n") }];
  });
}

// The organization Lantern pays for the plan pro; Anchor pays for nothing.
const LANTERN = "org_lantern";
const ANCHOR = "org_anchor";

/** Admin of Lantern. */
const OLGA = "user_olga";
/** Member of Lantern who may read posts. */
const MORITZ = "user_moritz";
/** Member of both; may read posts in Anchor only. */
const BEA = "user_bea";
/** Was an admin of Lantern until a moment ago. */
const XENIA = "user_xenia";
/** Was an admin of Lantern; rejoined as a plain member a moment ago. */
const DIRK = "user_dirk";
/** Admin of Anchor. */
const OTTO = "user_otto";
/** Was an admin of Lantern and paid for pro until their account was deleted. */
const DORA = "user_dora";
/** In no organization; pays for pro. */
const PAULA = "user_paula";
/** In no organization; paid for pro until the period ended. */
const CARLO = "user_carlo";

const EVERYBODY = [OLGA, MORITZ, BEA, XENIA, DIRK, OTTO, DORA, PAULA, CARLO];

const BASE = 1_760_000_000_000;

/** Creates the users above by the events that Clerk would send. */
async function populate(database: TestDatabase): Promise<void> {
  let clock = BASE;
  const send = async (type: string, data: JsonObject): Promise<void> => {
    clock += 1000;
    const event = anEvent(type, { ...data, updated_at: clock }, { timestamp: clock });
    const { outcome } = await database.ingest(`msg_${clock}`, event);
    assertEquals(outcome, "applied", type);
  };
  const member = (
    user: string,
    organization: string,
    role: string,
    fields: JsonObject = {},
  ): JsonObject =>
    aClerkMembership({ user, organization }, {
      id: `orgmem_${user.slice(5)}${organization.slice(4)}`,
      role: `org:${role}`,
      permissions: [],
      created_at: clock,
      ...fields,
    });
  const joins = (...member_: Parameters<typeof member>): Promise<void> =>
    send("organizationMembership.created", member(...member_));
  const pays = (payer: string, fields: JsonObject = {}): Promise<void> =>
    send(
      "subscriptionItem.active",
      aClerkSubscriptionItem(
        payer.startsWith("org_") ? { organization: payer } : { user: payer },
        { id: `csub_item_${payer.replace("_", "")}`, ...fields },
      ),
    );
  const readsPosts = { permissions: ["org:posts:read"] };

  for (const id of [LANTERN, ANCHOR]) {
    await send("organization.created", aClerkOrganization({ id }));
  }
  for (const id of EVERYBODY) {
    await send("user.created", aClerkUser({ id, unsafe_metadata: { role: "admin", plan: "pro" } }));
  }
  await joins(OLGA, LANTERN, "admin");
  await joins(MORITZ, LANTERN, "member", readsPosts);
  await joins(BEA, LANTERN, "member");
  await joins(BEA, ANCHOR, "member", readsPosts);
  await joins(XENIA, LANTERN, "admin", readsPosts);
  await joins(DIRK, LANTERN, "admin", readsPosts);
  await joins(OTTO, ANCHOR, "admin", readsPosts);
  await joins(DORA, LANTERN, "admin", readsPosts);
  await pays(LANTERN);
  await pays(PAULA);
  await pays(DORA);
  await pays(CARLO, { status: "canceled", period_end: BASE });

  await send("organizationMembership.deleted", member(XENIA, LANTERN, "admin"));
  // The deletion of the old membership is late, so both rows exist.
  await joins(DIRK, LANTERN, "member", { id: "orgmem_dirkAgain" });
  await send("user.deleted", aDeletedClerkUser(DORA));
}

/** What a session token says. Users who lost a role still hold a token that has it. */
interface Session {
  readonly sub: string;
  readonly org?: string;
  /** Who impersonates the user. */
  readonly act?: unknown;
}

function claimsOf({ sub, org, act }: Session): string {
  const active = org === undefined
    ? {}
    : { o: { id: org, rol: "admin", per: "posts:read,posts:create" } };
  return JSON.stringify({ sub, role: "authenticated", v: 2, ...active, act });
}

/** A database with the users and some recipes, and a connection like the API's. */
class Application {
  readonly #database: TestDatabase;
  readonly #api: postgres.Sql;

  constructor(database: TestDatabase) {
    this.#database = database;
    this.#api = database.connect(1);
  }

  /** As the owner of the tables. */
  asOwner(sql: string): Promise<unknown> {
    return this.#database.sql.unsafe(sql);
  }

  /** An event from Clerk. */
  async receive(type: string, data: JsonObject): Promise<void> {
    const event = anEvent(type, data, { timestamp: BASE + 1_000_000 });
    const { outcome } = await this.#database.ingest(`msg_${type}_${data.id}`, event);
    assertEquals(outcome, "applied", type);
  }

  /** As a user, with the role of their requests; without a session, as an anonymous visitor. */
  async act(session: Session | null, sql: string): Promise<postgres.Row[]> {
    return await this.#api.begin(async (transaction): Promise<postgres.Row[]> => {
      const role = session === null ? "anon" : "authenticated";
      const claims = session === null ? '{"role": "anon"}' : claimsOf(session);
      await transaction`
        select set_config('role', ${role}, true), set_config('request.jwt.claims', ${claims}, true)
      `;
      return [...await transaction.unsafe(sql)];
    });
  }

  /** The values that a user gets from a query of one column. */
  async sees(session: Session | null, sql: string): Promise<unknown[]> {
    const rows = await this.act(session, sql);
    return rows.flatMap((row) => Object.values(row));
  }

  /** Asserts that a policy or a missing grant refuses a statement. */
  async isRefused(session: Session | null, sql: string): Promise<void> {
    const error = await assertRejects(() => this.act(session, sql), postgres.PostgresError);
    assertEquals([session?.sub, error.code], [session?.sub, "42501"]);
  }
}

const TESTS: Record<string, (application: Application) => Promise<void>> = {
  "Own rows": async (application) => {
    const all = "select body from public.notes order by body";
    await application.act({ sub: OLGA }, "insert into public.notes (body) values ('of Olga')");
    await application.act({ sub: OTTO }, "insert into public.notes (body) values ('of Otto')");

    await application.asOwner(
      `insert into public.notes (user_id, body) values ('${DORA}', 'of Dora')`,
    );

    const changed = await application.act(
      { sub: OTTO },
      "update public.notes set body = 'changed by ' || body returning body",
    );
    const gone = await application.act(
      { sub: OTTO },
      "delete from public.notes where body like '%Olga' returning body",
    );

    assertEquals(await application.sees({ sub: OLGA }, all), ["of Olga"]);
    assertEquals(await application.sees({ sub: OTTO }, all), ["changed by of Otto"]);
    assertEquals(await application.sees({ sub: MORITZ, org: LANTERN }, all), []);
    await application.isRefused(null, all);
    assertEquals([changed.length, gone.length], [1, 0]);
    // As the page says: until the token of a deleted user expires.
    assertEquals(await application.sees({ sub: DORA }, all), ["of Dora"]);
    await application.isRefused(
      { sub: OTTO },
      `insert into public.notes (user_id, body) values ('${OLGA}', 'put into her mouth')`,
    );
    await application.isRefused({ sub: OTTO }, `update public.notes set user_id = '${OLGA}'`);
  },

  "Rows of my organizations": async (application) => {
    const all = "select name from public.projects order by name";
    await application.asOwner(`
      insert into public.projects (organization_id, name)
      values ('${LANTERN}', 'lighthouse'), ('${ANCHOR}', 'harbour')
    `);

    assertEquals(await application.sees({ sub: OLGA }, all), ["lighthouse"]);
    assertEquals(await application.sees({ sub: MORITZ, org: LANTERN }, all), ["lighthouse"]);
    assertEquals(await application.sees({ sub: BEA, org: ANCHOR }, all), ["harbour", "lighthouse"]);
    assertEquals(await application.sees({ sub: DIRK }, all), ["lighthouse"]);
    assertEquals(await application.sees({ sub: OTTO, org: LANTERN }, all), ["harbour"]);
    for (const sub of [XENIA, DORA, PAULA]) {
      assertEquals(await application.sees({ sub, org: LANTERN }, all), [], sub);
    }
    await application.isRefused(null, all);
    await application.isRefused(
      { sub: OLGA, org: LANTERN },
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'too early')`,
    );
  },

  "Only admins write": async (application) => {
    const insert =
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'tower') returning name`;
    const rename =
      "update public.projects set name = name || '!' where name like 'l%' returning name";
    await application.asOwner(
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'lighthouse')`,
    );

    assertEquals(await application.sees({ sub: OLGA }, insert), ["tower"]);
    assertEquals(await application.sees({ sub: OLGA, org: ANCHOR }, rename), ["lighthouse!"]);
    // A member, a former admin, an admin of another organization, one who left, and a deleted user.
    for (const sub of [MORITZ, DIRK, OTTO, XENIA, DORA]) {
      await application.isRefused({ sub, org: LANTERN }, insert);
      assertEquals(await application.sees({ sub, org: LANTERN }, rename), [], sub);
    }
    await application.isRefused(
      { sub: OLGA },
      `update public.projects set organization_id = '${ANCHOR}' where name = 'tower'`,
    );
    assertEquals(
      await application.sees({ sub: MORITZ }, "select name from public.projects order by name"),
      ["lighthouse!", "tower"],
    );
  },

  "Only the active organization": async (application) => {
    const all = "select amount from public.invoices order by amount";
    await application.asOwner(`
      insert into public.invoices (organization_id, amount)
      values ('${LANTERN}', 100), ('${ANCHOR}', 200)
    `);

    assertEquals(await application.sees({ sub: MORITZ, org: LANTERN }, all), [100]);
    assertEquals(await application.sees({ sub: BEA, org: LANTERN }, all), [100]);
    assertEquals(await application.sees({ sub: BEA, org: ANCHOR }, all), [200]);
    assertEquals(await application.sees({ sub: BEA }, all), []);
    for (const sub of [XENIA, DORA, OTTO, PAULA]) {
      assertEquals(await application.sees({ sub, org: LANTERN }, all), [], sub);
    }
    await application.isRefused(null, all);
  },

  "By permission": async (application) => {
    const all = "select title from public.posts order by title";
    await application.asOwner(`
      insert into public.posts (organization_id, title)
      values ('${LANTERN}', 'fog'), ('${ANCHOR}', 'tide')
    `);

    assertEquals(await application.sees({ sub: MORITZ, org: LANTERN }, all), ["fog"]);
    assertEquals(await application.sees({ sub: BEA, org: ANCHOR }, all), ["tide"]);
    assertEquals(await application.sees({ sub: MORITZ }, all), []);
    // No permission here, lost it, left, deleted, or has it elsewhere.
    for (const sub of [BEA, OLGA, DIRK, XENIA, DORA, OTTO]) {
      assertEquals(await application.sees({ sub, org: LANTERN }, all), [], sub);
    }
    await application.isRefused(null, all);
  },

  "Plan holders only": async (application) => {
    const all = "select title from public.reports";
    await application.asOwner("insert into public.reports (title) values ('the quarter')");

    assertEquals(await application.sees({ sub: PAULA }, all), ["the quarter"]);
    assertEquals(await application.sees({ sub: PAULA, org: ANCHOR }, all), ["the quarter"]);
    assertEquals(await application.sees({ sub: OLGA, org: LANTERN }, all), ["the quarter"]);
    assertEquals(await application.sees({ sub: BEA, org: LANTERN }, all), ["the quarter"]);
    // The paying organization is not active or no longer theirs; paid once; deleted.
    assertEquals(await application.sees({ sub: OLGA }, all), []);
    assertEquals(await application.sees({ sub: BEA, org: ANCHOR }, all), []);
    for (const sub of [XENIA, OTTO, CARLO, DORA]) {
      assertEquals(await application.sees({ sub, org: LANTERN }, all), [], sub);
    }
    await application.isRefused(null, all);
  },

  "Impersonators read only": async (application) => {
    const all = "select body from public.notes order by body";
    const insert = "insert into public.notes (body) values ('written') returning body";
    const rename = "update public.notes set body = body || '!' returning body";
    const remove = "delete from public.notes returning body";
    await application.asOwner(
      `insert into public.notes (user_id, body) values ('${OLGA}', 'of Olga')`,
    );

    for (const act of [{ sub: OTTO, iss: "https://dashboard.clerk.com" }, {}, "user_otto", false]) {
      const impersonated = { sub: OLGA, act };
      assertEquals(await application.sees(impersonated, all), ["of Olga"]);
      await application.isRefused(impersonated, insert);
      await application.isRefused(impersonated, rename);
      assertEquals(await application.sees(impersonated, remove), []);
    }

    // Control: the user may.
    assertEquals(await application.sees({ sub: OLGA }, rename), ["of Olga!"]);
    assertEquals(await application.sees({ sub: OLGA, act: null }, insert), ["written"]);
    assertEquals((await application.sees({ sub: OLGA }, remove)).sort(), ["of Olga!", "written"]);
  },

  "Rows keyed by your own id": async (application) => {
    const all = "select total from public.orders order by total";
    const knows = (id: string, external_id: string | null, more: JsonObject = {}): Promise<void> =>
      application.receive(
        "user.updated",
        aClerkUser({ id, external_id, updated_at: BASE + 1_000_000, ...more }),
      );
    await application.asOwner(`
      insert into public.orders (customer_id, total)
      values ('customer-1', 10), ('customer-2', 20), ('customer-3', 30), ('${PAULA}', 40), ('', 50)
    `);
    await knows(OLGA, "customer-1");
    await knows(OTTO, "customer-2");
    await knows(CARLO, "customer-3", { banned: true });
    await knows(MORITZ, null, { unsafe_metadata: { external_id: "customer-1" } });

    assertEquals(await application.sees({ sub: OLGA }, all), [10]);
    assertEquals(await application.sees({ sub: OTTO, org: LANTERN }, all), [20]);
    for (const sub of [MORITZ, CARLO, PAULA, DORA, "user_unknown"]) {
      assertEquals(await application.sees({ sub }, all), [], sub);
    }
    await application.isRefused(null, all);

    await application.receive("user.deleted", aDeletedClerkUser(OLGA));
    assertEquals(await application.sees({ sub: OLGA }, all), []);
  },

  "Revoke what a former member created": async (application) => {
    const revoked = async (): Promise<unknown[]> => {
      const rows = await application.asOwner(`
        select created_by || ' ' || organization_id as key from public.api_keys
        where revoked_at is not null order by 1
      `) as postgres.Row[];
      return rows.map(({ key }) => key);
    };
    const leaves = (user: string, organization: string, id: string): Promise<void> =>
      application.receive(
        "organizationMembership.deleted",
        aClerkMembership({ user, organization }, { id }),
      );
    await application.asOwner(`
      insert into public.api_keys (organization_id, created_by)
      values
        ('${LANTERN}', '${OLGA}'), ('${LANTERN}', '${BEA}'), ('${ANCHOR}', '${BEA}'),
        ('${LANTERN}', '${DIRK}'), ('${ANCHOR}', '${OTTO}')
    `);

    await leaves(BEA, LANTERN, "orgmem_bealantern");
    assertEquals(await revoked(), [`${BEA} ${LANTERN}`]);

    // Dirk came back before the deletion of his old membership arrived.
    await leaves(DIRK, LANTERN, "orgmem_dirklantern");
    assertEquals(await revoked(), [`${BEA} ${LANTERN}`]);

    await application.receive("user.deleted", aDeletedClerkUser(OLGA));
    assertEquals(await revoked(), [`${BEA} ${LANTERN}`, `${OLGA} ${LANTERN}`]);

    await application.receive("organization.deleted", aDeletedClerkOrganization(ANCHOR));
    assertEquals(await revoked(), [
      `${BEA} ${ANCHOR}`,
      `${BEA} ${LANTERN}`,
      `${OLGA} ${LANTERN}`,
      `${OTTO} ${ANCHOR}`,
    ]);

    const keys = "select created_by from public.api_keys order by 1";
    assertEquals(await application.sees({ sub: DIRK }, keys), [BEA, DIRK, OLGA].sort());
    assertEquals(await application.sees({ sub: BEA, org: LANTERN }, keys), []);
    await application.isRefused(null, keys);
  },
};

Deno.test("each recipe of the page is tested here", async () => {
  const recipes = await readRecipes();

  assertEquals(recipes.map(({ heading }) => heading), Object.keys(TESTS));
});

Deno.test("each recipe of the page enables row-level security on every table that it creates", async () => {
  const page = (await readRecipes()).map(({ sql }) => sql).join("\n");
  const tables = [...page.matchAll(/create table (\S+)/g)].map(([, table = ""]) => table);
  const secured = [...page.matchAll(/alter table (\S+) enable row level security/g)].map((
    [, table = ""],
  ) => table);

  assertGreater(tables.length, 0);
  assertEquals(secured, tables);
});

for (const [heading, test] of Object.entries(TESTS)) {
  recipeTest(
    `the recipe "${heading}" gives access to the users that it names and to no others`,
    async (database) => {
      const recipes = await readRecipes();
      const own = recipes.findIndex((recipe) => recipe.heading === heading);
      await populate(database);
      // Some recipes build on the ones before them.
      for (const { sql } of recipes.slice(0, own + 1)) await database.sql.unsafe(sql).simple();

      await test(new Application(database));
    },
  );
}
