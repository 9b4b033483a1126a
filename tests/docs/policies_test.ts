import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { databaseTest, type TestDatabase } from "../test_database.ts";

// The recipes of docs/policies.md, as they stand there: each is run on a database with people in it,
// and then people try what it allows and what it does not.

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

// The team Lantern, which pays for the plan pro, and the team Anchor, which pays for nothing.
const LANTERN = "org_lantern";
const ANCHOR = "org_anchor";

/** Admin of Lantern. */
const OLGA = "user_olga";
/** Member of Lantern, who may read posts; writes "admin" into the metadata that browsers may write. */
const MORITZ = "user_moritz";
/** Member of both teams; may read posts in Anchor only. */
const BEA = "user_bea";
/** Was an admin of Lantern until a moment ago. */
const XENIA = "user_xenia";
/** Was made a plain member of Lantern a moment ago, under a new membership. */
const DIRK = "user_dirk";
/** Admin of Anchor. */
const OTTO = "user_otto";
/** Was an admin of Lantern, and paid for pro, until the account was deleted. */
const DORA = "user_dora";
/** In no team; pays for pro. */
const PAULA = "user_paula";
/** In no team; paid for pro until the period ended. */
const CARLO = "user_carlo";

const EVERYBODY = [OLGA, MORITZ, BEA, XENIA, DIRK, OTTO, DORA, PAULA, CARLO];

const BASE = 1_760_000_000_000;

/** The people above, as the webhook would have made them. */
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
  // The deletion of the old membership is late: both rows are there.
  await joins(DIRK, LANTERN, "member", { id: "orgmem_dirkAgain" });
  await send("user.deleted", aDeletedClerkUser(DORA));
}

/** What a session token says; people who lost everything still hold one that says they did not. */
interface Session {
  readonly sub: string;
  readonly org?: string;
}

function claimsOf({ sub, org }: Session): string {
  const active = org === undefined
    ? {}
    : { o: { id: org, rol: "admin", per: "posts:read,posts:create" } };
  return JSON.stringify({ sub, role: "authenticated", v: 2, ...active });
}

/** A database with the people, the page's recipes up to one, and connections as the API has them. */
class Kitchen {
  readonly #database: TestDatabase;
  readonly #api: postgres.Sql;

  constructor(database: TestDatabase) {
    this.#database = database;
    this.#api = database.connect(1);
  }

  /** As the owner of the tables. */
  fill(sql: string): Promise<unknown> {
    return this.#database.sql.unsafe(sql);
  }

  /** As a person, through the role of their requests; without one, as nobody. */
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

  /** The only column of what a person is shown. */
  async sees(session: Session | null, sql: string): Promise<unknown[]> {
    const rows = await this.act(session, sql);
    return rows.flatMap((row) => Object.values(row));
  }

  /** The policy does not let this row in. */
  async refuses(session: Session, sql: string): Promise<void> {
    const error = await assertRejects(() => this.act(session, sql), postgres.PostgresError);
    assertEquals([session.sub, error.code], [session.sub, "42501"]);
  }
}

const TESTS: Record<string, (kitchen: Kitchen) => Promise<void>> = {
  "Own rows": async (kitchen) => {
    const all = "select body from public.notes order by body";
    await kitchen.act({ sub: OLGA }, "insert into public.notes (body) values ('of Olga')");
    await kitchen.act({ sub: OTTO }, "insert into public.notes (body) values ('of Otto')");

    await kitchen.fill(`insert into public.notes (user_id, body) values ('${DORA}', 'of Dora')`);

    const changed = await kitchen.act(
      { sub: OTTO },
      "update public.notes set body = 'changed by ' || body returning body",
    );
    const gone = await kitchen.act(
      { sub: OTTO },
      "delete from public.notes where body like '%Olga' returning body",
    );

    assertEquals(await kitchen.sees({ sub: OLGA }, all), ["of Olga"]);
    assertEquals(await kitchen.sees({ sub: OTTO }, all), ["changed by of Otto"]);
    assertEquals(await kitchen.sees({ sub: MORITZ, org: LANTERN }, all), []);
    assertEquals(await kitchen.sees(null, all), []);
    assertEquals([changed.length, gone.length], [1, 0]);
    // As the page says: until the token of a deleted person expires.
    assertEquals(await kitchen.sees({ sub: DORA }, all), ["of Dora"]);
    await kitchen.refuses(
      { sub: OTTO },
      `insert into public.notes (user_id, body) values ('${OLGA}', 'put into her mouth')`,
    );
    await kitchen.refuses({ sub: OTTO }, `update public.notes set user_id = '${OLGA}'`);
  },

  "Rows of my organizations": async (kitchen) => {
    const all = "select name from public.projects order by name";
    await kitchen.fill(`
      insert into public.projects (organization_id, name)
      values ('${LANTERN}', 'lighthouse'), ('${ANCHOR}', 'harbour')
    `);

    assertEquals(await kitchen.sees({ sub: OLGA }, all), ["lighthouse"]);
    assertEquals(await kitchen.sees({ sub: MORITZ, org: LANTERN }, all), ["lighthouse"]);
    assertEquals(await kitchen.sees({ sub: BEA, org: ANCHOR }, all), ["harbour", "lighthouse"]);
    assertEquals(await kitchen.sees({ sub: DIRK }, all), ["lighthouse"]);
    assertEquals(await kitchen.sees({ sub: OTTO, org: LANTERN }, all), ["harbour"]);
    for (const sub of [XENIA, DORA, PAULA]) {
      assertEquals(await kitchen.sees({ sub, org: LANTERN }, all), [], sub);
    }
    assertEquals(await kitchen.sees(null, all), []);
    await kitchen.refuses(
      { sub: OLGA, org: LANTERN },
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'too early')`,
    );
  },

  "Only admins write": async (kitchen) => {
    const insert =
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'tower') returning name`;
    const rename =
      "update public.projects set name = name || '!' where name like 'l%' returning name";
    await kitchen.fill(
      `insert into public.projects (organization_id, name) values ('${LANTERN}', 'lighthouse')`,
    );

    assertEquals(await kitchen.sees({ sub: OLGA }, insert), ["tower"]);
    assertEquals(await kitchen.sees({ sub: OLGA, org: ANCHOR }, rename), ["lighthouse!"]);
    // A member, one who was an admin, an admin elsewhere, one who left, and one who is gone.
    for (const sub of [MORITZ, DIRK, OTTO, XENIA, DORA]) {
      await kitchen.refuses({ sub, org: LANTERN }, insert);
      assertEquals(await kitchen.sees({ sub, org: LANTERN }, rename), [], sub);
    }
    await kitchen.refuses(
      { sub: OLGA },
      `update public.projects set organization_id = '${ANCHOR}' where name = 'tower'`,
    );
    assertEquals(
      await kitchen.sees({ sub: MORITZ }, "select name from public.projects order by name"),
      ["lighthouse!", "tower"],
    );
  },

  "Only the active organization": async (kitchen) => {
    const all = "select amount from public.invoices order by amount";
    await kitchen.fill(`
      insert into public.invoices (organization_id, amount)
      values ('${LANTERN}', 100), ('${ANCHOR}', 200)
    `);

    assertEquals(await kitchen.sees({ sub: MORITZ, org: LANTERN }, all), [100]);
    assertEquals(await kitchen.sees({ sub: BEA, org: LANTERN }, all), [100]);
    assertEquals(await kitchen.sees({ sub: BEA, org: ANCHOR }, all), [200]);
    assertEquals(await kitchen.sees({ sub: BEA }, all), []);
    for (const sub of [XENIA, DORA, OTTO, PAULA]) {
      assertEquals(await kitchen.sees({ sub, org: LANTERN }, all), [], sub);
    }
    assertEquals(await kitchen.sees(null, all), []);
  },

  "By permission": async (kitchen) => {
    const all = "select title from public.posts order by title";
    await kitchen.fill(`
      insert into public.posts (organization_id, title)
      values ('${LANTERN}', 'fog'), ('${ANCHOR}', 'tide')
    `);

    assertEquals(await kitchen.sees({ sub: MORITZ, org: LANTERN }, all), ["fog"]);
    assertEquals(await kitchen.sees({ sub: BEA, org: ANCHOR }, all), ["tide"]);
    assertEquals(await kitchen.sees({ sub: MORITZ }, all), []);
    // Without the permission here, without it any more, without membership any more, gone, elsewhere.
    for (const sub of [BEA, OLGA, DIRK, XENIA, DORA, OTTO]) {
      assertEquals(await kitchen.sees({ sub, org: LANTERN }, all), [], sub);
    }
    assertEquals(await kitchen.sees(null, all), []);
  },

  "Plan holders only": async (kitchen) => {
    const all = "select title from public.reports";
    await kitchen.fill("insert into public.reports (title) values ('the quarter')");

    assertEquals(await kitchen.sees({ sub: PAULA }, all), ["the quarter"]);
    assertEquals(await kitchen.sees({ sub: PAULA, org: ANCHOR }, all), ["the quarter"]);
    assertEquals(await kitchen.sees({ sub: OLGA, org: LANTERN }, all), ["the quarter"]);
    assertEquals(await kitchen.sees({ sub: BEA, org: LANTERN }, all), ["the quarter"]);
    // Of a paying team that is not active, or not theirs any more; paid once; gone.
    assertEquals(await kitchen.sees({ sub: OLGA }, all), []);
    assertEquals(await kitchen.sees({ sub: BEA, org: ANCHOR }, all), []);
    for (const sub of [XENIA, OTTO, CARLO, DORA]) {
      assertEquals(await kitchen.sees({ sub, org: LANTERN }, all), [], sub);
    }
    assertEquals(await kitchen.sees(null, all), []);
  },
};

Deno.test("each recipe of the cookbook is tested here", async () => {
  const recipes = await readRecipes();

  assertEquals(recipes.map(({ heading }) => heading), Object.keys(TESTS));
});

Deno.test("each recipe of the cookbook switches row-level security on where it makes a table", async () => {
  const page = (await readRecipes()).map(({ sql }) => sql).join("\n");
  const tables = [...page.matchAll(/create table (\S+)/g)].map(([, table = ""]) => table);
  const secured = [...page.matchAll(/alter table (\S+) enable row level security/g)].map((
    [, table = ""],
  ) => table);

  assertGreater(tables.length, 0);
  assertEquals(secured, tables);
});

for (const [heading, test] of Object.entries(TESTS)) {
  databaseTest(`the recipe "${heading}" lets in whom it says and nobody else`, async (database) => {
    const recipes = await readRecipes();
    const own = recipes.findIndex((recipe) => recipe.heading === heading);
    await populate(database);
    // Some build on those before them.
    for (const { sql } of recipes.slice(0, own + 1)) {
      await database.sql.unsafe(sql).simple();
      for (const [, table] of sql.matchAll(/create table (\S+)/g)) {
        await database.sql.unsafe(
          `grant select, insert, update, delete on ${table} to anon, authenticated`,
        );
      }
    }

    await test(new Kitchen(database));
  });
}
