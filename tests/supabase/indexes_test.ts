import { assertEquals, assertGreater, assertLess, assertNotMatch } from "@std/assert";
import postgres from "postgres";
import {
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { ingestWithin, type TestDatabase, withTestDatabase } from "../test_database.ts";

// 100,000 users, 10,000 organizations, 300,000 memberships: everything that a member reads is found by
// an index, in the query itself, in its policies, and in every function that the policies call.

/** Inserts the rows directly, with triggers and foreign keys off. */
const FILL = `
  set session_replication_role = replica;

  -- Each with a secondary address, too.
  insert into public.profiles (id, first_name, email, email_verified, verified_emails)
  select
    'user_' || n,
    'Person ' || n,
    'person.' || n || '@example.com',
    true,
    array['person.' || n || '@example.com', 'person.' || n + 1 || '@example.com']
  from generate_series(0, 99999) as n;

  insert into public.organizations (id, name, slug)
  select 'org_' || n, 'Team ' || n, 'team-' || n
  from generate_series(0, 9999) as n;

  -- Each person in three organizations, each organization with thirty members, one of them admin.
  insert into public.organization_memberships
    (id, organization_id, user_id, role, permissions, member_name, created_at)
  select
    'orgmem_' || person || 'x' || stay,
    'org_' || (person + stay * 3333) % 10000,
    'user_' || person,
    case when person < 10000 and stay = 0 then 'org:admin' else 'org:member' end,
    '{org:posts:read}',
    'Person ' || person,
    to_timestamp(1760000000 + person)
  from generate_series(0, 99999) as person, generate_series(0, 2) as stay;

  insert into public.organization_invitations
    (id, organization_id, email_address, status, expires_at)
  select
    'orginv_' || n,
    'org_' || n % 10000,
    'Person.' || n || '@example.com',
    'pending',
    now() + interval '1 day'
  from generate_series(0, 29999) as n;

  insert into public.subscription_items (id, user_id, organization_id, plan_slug, status)
  select
    'csub_item_' || n,
    case when n >= 10000 then 'user_' || n % 10000 end,
    case when n < 10000 then 'org_' || n end,
    'pro',
    'active'
  from generate_series(0, 19999) as n;

  insert into public.organization_roles (id, key, permission_ids, permission_keys)
  select 'role_' || n, role, '{perm_0}', '{org:posts:read}'
  from generate_series(0, 4999) as n
  cross join lateral (
    select case n when 0 then 'org:member' when 1 then 'org:admin' else 'org:role' || n end as role
  ) as named;

  insert into clerk_sync.keys (kind, key, id, observed_at)
  select 'role', key, id, 1760000000000 from public.organization_roles
  union all
  select 'permission', 'org:posts:' || coalesce(nullif(n::text, '0'), 'read'), 'perm_' || n, 1760000000000
  from generate_series(0, 4999) as n;

  insert into clerk_sync.objects (id, version, observed_at)
  select id, 1760000000000, 1760000000000 from public.organization_roles
  union all
  select id, 1760000000000, 1760000000001 from public.organization_memberships
  union all
  select 'perm_' || n, 1760000000000, 1760000000000 from generate_series(0, 4999) as n;

  insert into clerk_sync.membership_deletions (user_id, organization_id, observed_at)
  select 'user_' || n, 'org_' || (n + 5) % 10000, 1760000000000
  from generate_series(0, 99999) as n;

  -- An application's own table, with the policy of docs/policies.md.
  create table public.projects (
    id bigint generated always as identity primary key,
    organization_id text not null,
    name text not null
  );
  create index projects_by_organization on public.projects (organization_id);
  alter table public.projects enable row level security;
  create policy projects_select_member
    on public.projects
    for select
    to authenticated
    using (organization_id = any ((select clerk.my_organization_ids())::text[]));
  grant select on public.projects to authenticated;

  insert into public.projects (organization_id, name)
  select 'org_' || n % 10000, 'Project ' || n
  from generate_series(0, 49999) as n;

  reset session_replication_role;
  analyze
    public.profiles, public.organizations, public.organization_memberships,
    public.organization_invitations, public.organization_roles, public.subscription_items,
    public.projects, clerk_sync.keys, clerk_sync.objects, clerk_sync.membership_deletions;
`;

/** Admin of org_7, member of org_3340 and org_6673. */
const MEMBER = { sub: "user_7", org: "org_7" };

/** What the member reads, the query, and the number of rows it returns. */
const READS: [string, string, number][] = [
  ["their profile", "select * from public.profiles", 1],
  ["their profile by id", "select * from public.profiles where id = 'user_7'", 1],
  ["another user's profile", "select * from public.profiles where id = 'user_8'", 0],
  ["their organizations", "select * from public.organizations", 3],
  ["one organization", "select * from public.organizations where id = 'org_7'", 1],
  [
    "an organization that is not theirs",
    "select * from public.organizations where id = 'org_8'",
    0,
  ],
  ["the memberships of all their teams", "select * from public.organization_memberships", 90],
  [
    "their own memberships",
    "select role from public.organization_memberships where user_id = 'user_7'",
    3,
  ],
  [
    "the team page of one organization",
    `select member_name, role from public.organization_memberships
     where organization_id = 'org_7' order by member_name limit 50`,
    30,
  ],
  [
    "the team page of an organization that is not theirs",
    "select member_name from public.organization_memberships where organization_id = 'org_8'",
    0,
  ],
  [
    "memberships with their organizations",
    `select role, organization.name
     from public.organization_memberships
     left join lateral (
       select name, slug from public.organizations where id = organization_id
     ) as organization on true
     where user_id = 'user_7'`,
    3,
  ],
  [
    "the number of members of each team",
    `select organization_id, count(*) from public.organization_memberships group by 1`,
    3,
  ],
  [
    "invitations, as an admin and as an invitee",
    "select * from public.organization_invitations",
    4,
  ],
  [
    "the subscription items of themselves and their teams",
    "select * from public.subscription_items",
    4,
  ],
  ["whether they have a plan", "select where (select clerk.has_plan('pro'))", 1],
  ["whether they have another plan", "select where (select clerk.has_plan('none'))", 0],
  ["whether they are a member", "select where (select clerk.is_member_of('org_3340'))", 1],
  ["whether they have a role", "select where (select clerk.has_org_role('admin'))", 1],
  [
    "whether they have a permission",
    "select where (select clerk.has_org_permission('posts:read'))",
    1,
  ],
  [
    "the organizations where they have a permission",
    "select unnest(clerk.my_organization_ids(null, 'posts:read'))",
    3,
  ],
  [
    "the organizations where they are an admin",
    "select unnest(clerk.my_organization_ids('admin'))",
    1,
  ],
  ["rows of the application", "select * from public.projects", 15],
];

/** Limit of 8 kB pages that one statement may touch; the tables and their indexes have thousands. */
const FEW_PAGES = 400;

interface PlanNode {
  readonly "Node Type": string;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly PlanNode[];
}

/** One executed statement, which may be nested in a function. */
interface Executed {
  readonly query: string;
  readonly milliseconds: number;
  readonly plan: PlanNode;
}

/** The tables that a plan scans sequentially. */
function scannedIn(plan: PlanNode): string[] {
  const own = plan["Node Type"] === "Seq Scan" ? [plan["Relation Name"] ?? "?"] : [];
  return [...own, ...(plan.Plans ?? []).flatMap(scannedIn)];
}

function pagesOf(plan: PlanNode): number {
  return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
}

const EXPLAINED = /^duration: ([\d.]+) ms {2}plan:\n([^]+)$/;

/** A connection on which Postgres reports the plan of each statement, even within functions. */
class Explained implements AsyncDisposable {
  readonly #notices: string[] = [];
  readonly #sql: postgres.Sql;

  private constructor(url: string) {
    this.#sql = postgres(url, {
      max: 1,
      onnotice: ({ message = "" }) => this.#notices.push(message),
    });
  }

  static async connect({ server, name }: TestDatabase): Promise<Explained> {
    const explained = new Explained(server.superuserUrl(name));
    await explained.#sql.unsafe(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_analyze = on;
      set auto_explain.log_buffers = on;
      set auto_explain.log_format = json;
      set auto_explain.log_level = notice;
    `).simple();
    return explained;
  }

  /** Runs statements, rolls them back, and returns what was executed. */
  async run<Result>(
    act: (sql: postgres.TransactionSql) => Promise<Result>,
  ): Promise<{ result: Result; executed: Executed[] }> {
    const undone = new Error("undone");
    const results: Result[] = [];
    await this.#sql.begin(async (sql) => {
      this.#notices.length = 0;
      results.push(await act(sql));
      throw undone;
    }).catch((error) => {
      if (error !== undone) throw error;
    });
    const [result] = results;
    if (result === undefined) throw new Error("Cannot return a result as there is none");

    const executed = this.#notices.flatMap((notice) => {
      const [, duration, json] = EXPLAINED.exec(notice) ?? [];
      if (json === undefined) return [];
      const { "Query Text": query, Plan: plan } = JSON.parse(json) as {
        "Query Text": string;
        Plan: PlanNode;
      };
      return [{ query, plan, milliseconds: Number(duration) }];
    });
    return { result, executed };
  }

  /** Runs a query as this member, with the role and claims of a request. */
  read(
    { sub, org }: { sub: string; org: string },
    query: string,
  ): Promise<{ result: postgres.RowList<postgres.Row[]>; executed: Executed[] }> {
    const claims = JSON.stringify({
      sub,
      role: "authenticated",
      v: 2,
      o: { id: org, rol: "member" },
    });
    return this.run(async (sql) => {
      await sql`
        select
          set_config('role', 'authenticated', true),
          set_config('request.jwt.claims', ${claims}, true)
      `;
      return await sql.unsafe(query);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end({ timeout: 5 });
  }
}

/** What is allowed, and how often it is tried at most: other tests use the processor, too. */
const LIMIT = { milliseconds: 50, tries: 30 };

/** The times of a query's slowest statement, up to the first time within the limit. */
async function timesOf(
  explained: Explained,
  query: string,
  check: (rows: number) => void = () => {},
): Promise<number[]> {
  const times: number[] = [];
  while (times.length < LIMIT.tries && !times.some((time) => time < LIMIT.milliseconds)) {
    const { result, executed } = await explained.read(MEMBER, query);
    check(result.length);
    times.push(Math.max(...executed.map(({ milliseconds }) => milliseconds)));
  }
  return times;
}

/** The sequential scans, each with its statement. */
function scansOf(executed: readonly Executed[]): string[] {
  // The settings are one row, which no index finds faster.
  return executed.flatMap(({ query, plan }) =>
    scannedIn(plan).filter((table) => table !== "settings").map((table) =>
      `${table}: ${query.trim().replace(/\s+/g, " ")}`
    )
  );
}

async function inALargeWorld(t: Deno.TestContext): Promise<void> {
  await withTestDatabase(async (database) => {
    await database.admin.unsafe(FILL).simple();
    await using explained = await Explained.connect(database);

    for (const [what, query, rows] of READS) {
      await t.step(`a member finds ${what} without a sequential scan`, async () => {
        // A first run fills Postgres's caches of its catalog, whose reads are not to be counted.
        await explained.read(MEMBER, query);
        const { result, executed } = await explained.read(MEMBER, query);

        assertEquals([result.length, scansOf(executed)], [rows, []]);
        assertGreater(executed.length, 0);
        // No index is read from end to end, either.
        assertEquals(executed.filter(({ plan }) => pagesOf(plan) > FEW_PAGES), []);
      });
    }

    await t.step("a member finds each of these within 50 ms", async () => {
      const slow: string[] = [];
      for (const [what, query] of READS) {
        const times = await timesOf(explained, query);
        if (Math.min(...times) >= LIMIT.milliseconds) slow.push(`${what}: ${times.join(", ")} ms`);
      }

      assertEquals(slow, []);
    });

    await t.step(
      "the page of a team that has just grown to 5,000 is read within 50 ms",
      async () => {
        await database.admin.unsafe(`
        set session_replication_role = replica;
        insert into public.organization_memberships (id, organization_id, user_id, created_at)
        select 'orgmem_grown' || n, 'org_grown', 'user_' || n, now()
        from generate_series(1, 5000) as n;
        reset session_replication_role;
      `).simple();
        const page = `
        select role, member_name from public.organization_memberships
        where organization_id = 'org_grown' order by member_name limit 50
      `;

        const times = await timesOf(explained, page, (rows) => assertEquals(rows, 50));

        assertLess(Math.min(...times), LIMIT.milliseconds);
      },
    );

    await t.step("a team page costs what it shows, however large the team", async () => {
      await database.admin.unsafe(`
        set session_replication_role = replica;
        insert into public.organization_memberships
          (id, organization_id, user_id, member_name, created_at)
        select 'orgmem_large' || n, 'org_large', 'user_' || n, 'Person ' || n, now()
        from generate_series(1, 20000) as n;
        reset session_replication_role;
        analyze public.organization_memberships;
      `).simple();

      for (const order of ["", "order by member_name", "order by user_id"]) {
        for (const limit of [1, 50]) {
          const page = `
            select id from public.organization_memberships
            where organization_id = 'org_large' ${order} limit ${limit}
          `;
          await explained.read(MEMBER, page);
          const { result, executed } = await explained.read(MEMBER, page);

          assertEquals(result.length, limit);
          const pages = executed.map(({ plan }) => pagesOf(plan));
          assertEquals(pages.filter((each) => each > FEW_PAGES), [], page);
        }
      }
    });

    await t.step("superseded memberships are excluded without a query of their own", async () => {
      await database.admin.unsafe(`
        update public.organization_memberships set superseded = true
        where organization_id = 'org_large' and right(id, 2) = '00' or id = 'orgmem_8x0';
      `).simple();

      const { result, executed } = await explained.read(
        MEMBER,
        "select count(*)::int from public.organization_memberships where organization_id = 'org_large'",
      );

      assertEquals(result[0], { count: 19_800 });
      assertNotMatch(JSON.stringify(executed.at(-1)?.plan), /"SubPlan"/);
    });

    await t.step(
      "a large team is deleted in few statements, not some for each member",
      async () => {
        const { result, executed } = await explained.run((sql) =>
          ingestWithin(
            sql,
            "msg_1",
            anEvent("organization.deleted", aDeletedClerkOrganization("org_large")),
          )
        );

        assertEquals(result.outcome, "applied");
        assertLess(executed.length, 60);
      },
    );

    await t.step(
      "control: without an index, the scan in a policy's function is detected",
      async () => {
        const { executed } = await explained.run(async (sql) => {
          await sql`
            drop index
              public.organization_memberships_by_user, public.organization_memberships_by_organization
          `;
          await sql`
          select
            set_config('role', 'authenticated', true),
            set_config('request.jwt.claims', ${JSON.stringify({ sub: MEMBER.sub })}, true)
        `;
          return await sql`select * from public.organizations`;
        });

        const scans = scansOf(executed);
        assertEquals(scans.map((scan) => scan.split(":")[0]), ["organization_memberships"]);
      },
    );

    await t.step("invitations that are due are found without a sequential scan", async () => {
      const { executed } = await explained.run(async (sql) => {
        await sql`
          update public.organization_invitations set expires_at = now() where id = 'orginv_7'
        `;
        return await sql`select clerk_sync.expire_invitations()`;
      });

      const own = executed.filter(({ query }) => /expires_at <= now/.test(query));
      assertEquals([own.length > 0, scansOf(own)], [true, []]);
    });

    const WRITES: [string, JsonObject][] = [
      [
        "a new name, which reaches the team pages",
        anEvent("user.updated", aClerkUser({ id: MEMBER.sub })),
      ],
      ["the deletion of a user", anEvent("user.deleted", aDeletedClerkUser(MEMBER.sub))],
      [
        "the deletion of an organization",
        anEvent("organization.deleted", aDeletedClerkOrganization(MEMBER.org)),
      ],
    ];
    for (const [what, event] of WRITES) {
      await t.step(`${what} is applied without a sequential scan of a large table`, async () => {
        const { result, executed } = await explained.run((sql) =>
          ingestWithin(sql, "msg_1", event)
        );

        assertEquals(result.outcome, "applied");
        // Postgres may scan internal tables while they are small.
        const large = /^(profiles|organization|subscription_items)/;
        assertEquals(scansOf(executed).filter((scan) => large.test(scan)), []);
        assertGreater(executed.length, 5);
      });
    }
  });
}

Deno.test({
  name: "with 300,000 memberships, everything that a member reads is found by an index",
  fn: inALargeWorld,
  // The server may be started in the first test, and outlives it.
  sanitizeOps: false,
  sanitizeResources: false,
});
