import { assert, assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { digestAllRows } from "./all_rows.ts";
import { type Call, everyCall } from "./catalog_calls.ts";
import { oneOf, roundsOr, seeded } from "../random.ts";

// Tries every table, view and function of every schema through the API, as everybody who can use a
// browser. Anything that is not in this list is refused, not merely empty.

/** Everything that a browser may do when somebody is signed in. Otherwise it may do nothing. */
const ALLOWED: ReadonlySet<string> = new Set([
  ...["select", "count"].flatMap((verb) => [
    `${verb} public.profiles`,
    `${verb} public.organizations`,
    `${verb} public.organization_memberships`,
    `${verb} public.organization_invitations`,
    `${verb} public.organization_roles`,
    `${verb} public.subscription_items`,
  ]),
  "call public.ensure_profile",
]);

/** The ids that somebody sees in each table; none in a table that is not named. */
type Sight = Readonly<Record<string, readonly string[]>>;

const OF_ADA: Sight = {
  profiles: ["user_ada"],
  organizations: ["org_lantern"],
  organization_memberships: ["orgmem_ada", "orgmem_bruno"],
  organization_invitations: ["orginv_lantern"],
  subscription_items: ["csub_item_ada", "csub_item_lantern"],
};
/** A member, but no admin. */
const OF_BRUNO: Sight = {
  profiles: ["user_bruno"],
  organizations: ["org_lantern"],
  organization_memberships: ["orgmem_ada", "orgmem_bruno"],
  subscription_items: ["csub_item_lantern"],
};
/** Of another organization. */
const OF_MALLORY: Sight = {
  profiles: ["user_mallory"],
  organizations: ["org_kelp"],
  organization_memberships: ["orgmem_mallory"],
  organization_invitations: ["orginv_kelp"],
  subscription_items: ["csub_item_kelp"],
};
const NOTHING: Sight = {};

async function settle({ database }: TestStack): Promise<void> {
  const admin = { role: "org:admin" };
  const events = [
    anEvent("user.created", aClerkUser({ id: "user_ada" })),
    anEvent("user.created", aClerkUser({ id: "user_bruno" })),
    anEvent("user.created", aClerkUser({ id: "user_mallory" })),
    anEvent("organization.created", aClerkOrganization({ id: "org_lantern" })),
    anEvent("organization.created", aClerkOrganization({ id: "org_kelp" })),
    ...([
      ["user_ada", "org_lantern", { id: "orgmem_ada", ...admin }],
      ["user_bruno", "org_lantern", { id: "orgmem_bruno" }],
      // Superseded by the one above: it grants nothing and nobody sees it.
      ["user_bruno", "org_lantern", {
        id: "orgmem_before",
        created_at: 1_700_000_000_000,
        ...admin,
      }],
      ["user_mallory", "org_kelp", { id: "orgmem_mallory", ...admin }],
      ["user_ghost", "org_lantern", { id: "orgmem_ghost", ...admin }],
    ] as const).map(([user, organization, fields]) =>
      anEvent("organizationMembership.created", aClerkMembership({ user, organization }, fields))
    ),
    anEvent(
      "organizationInvitation.created",
      aClerkInvitation("org_lantern", { id: "orginv_lantern" }),
    ),
    anEvent("organizationInvitation.created", aClerkInvitation("org_kelp", { id: "orginv_kelp" })),
    ...([
      [{ user: "user_ada" }, "csub_item_ada"],
      [{ organization: "org_lantern" }, "csub_item_lantern"],
      [{ organization: "org_kelp" }, "csub_item_kelp"],
    ] as const).map(([payer, id]) =>
      anEvent("subscriptionItem.active", aClerkSubscriptionItem(payer, { id }))
    ),
    anEvent("user.created", aClerkUser({ id: "user_ghost" })),
    anEvent("user.deleted", aDeletedClerkUser("user_ghost")),
  ];
  for (const [number, event] of events.entries()) await database.ingest(`msg_${number}`, event);
  await database.admin`select public.claim_welcome_mail('user_ada', gen_random_uuid(), 60)`;
  // Eve has left, after her tokens were issued. An event would also make her profile.
  await database.admin`
    insert into clerk_sync.membership_deletions (user_id, organization_id, observed_at)
    values ('user_eve', 'org_lantern', ${Date.now() + 3_600_000})
  `;
}

interface Actor {
  readonly name: string;
  /** The session token; without one, nobody is signed in. */
  readonly token: string | null;
  readonly sees: Sight;
  /** Whether `ensure_profile()` gives them a row: their own, for a living Clerk user. */
  readonly hasProfile: boolean;
}

/** Claims that no Clerk token has, in a token that is otherwise Clerk's. They open nothing. */
const ODD_CLAIMS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["a subject that is blank", { sub: "" }],
  ["no subject", { sub: undefined }],
  ["a subject of many letters", { sub: "user_".repeat(5_000) }],
  ["a subject with a pattern", { sub: "user_%" }],
  ["a subject in capitals", { sub: "USER_ADA" }],
  ["a subject with a space behind", { sub: "user_ada " }],
  ["a subject with SQL", { sub: "' or id = 'user_ada" }],
  ["a subject that is an organization", { sub: "org_lantern" }],
  ["a subject that is a uuid", { sub: "00000000-0000-0000-0000-000000000001" }],
  ["an organization that is left, in an older token", {
    sub: "user_eve",
    o: { id: "org_lantern", rol: "admin" },
  }],
  ["an organization that is left, in an older token of version 1", {
    sub: "user_eve",
    v: 1,
    org_id: "org_lantern",
    org_role: "org:admin",
    org_permissions: ["org:posts:read"],
  }],
  ["an organization in custom claims, beside version 2", {
    sub: "user_eve",
    org_id: "org_kelp",
    org_role: "org:admin",
    org_permissions: ["org:posts:read"],
  }],
  ["an organization in version 2, beside version 1", {
    sub: "user_eve",
    v: 1,
    o: { id: "org_kelp", rol: "admin" },
  }],
  ["an organization without a time of issue", {
    sub: "user_eve",
    iat: undefined,
    o: { id: "org_kelp", rol: "admin" },
  }],
  ["an organization that is a text", { sub: "user_eve", o: "org_lantern" }],
  ["an organization that is a list", { sub: "user_eve", o: ["org_lantern"] }],
  ["an organization whose id is a list", { sub: "user_eve", o: { id: ["org_lantern"] } }],
  ["somebody else's id beside their own", {
    sub: "user_eve",
    user_id: "user_ada",
    uid: "user_ada",
    email: "ada@example.com",
    app_metadata: { role: "service_role" },
    user_metadata: { id: "user_ada" },
  }],
];

async function everybody({ services }: TestStack): Promise<[Actor, ...Actor[]]> {
  const as = async (
    name: string,
    sub: string,
    sees: Sight,
    hasProfile: boolean,
    claims: Record<string, unknown> = {},
  ): Promise<Actor> => ({
    name,
    token: await services.issueToken({ sub, claims }),
    sees,
    hasProfile,
  });

  const signedIn = await Promise.all([
    as("eve, who has just signed up", "user_eve", NOTHING, true),
    as("mallory, of another organization", "user_mallory", OF_MALLORY, true),
    as("bruno, no admin", "user_bruno", OF_BRUNO, true, { o: { id: "org_lantern", rol: "admin" } }),
    as("the deleted", "user_ghost", NOTHING, false, { o: { id: "org_lantern", rol: "admin" } }),
    ...ODD_CLAIMS.map(([name, claims]) =>
      as(name, "user_eve", NOTHING, claims.sub === "user_eve", claims)
    ),
  ]);
  return [{ name: "nobody", token: null, sees: NOTHING, hasProfile: false }, ...signedIn];
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly range: string | null;
}

async function request({ services }: TestStack, token: string | null, call: Call): Promise<Reply> {
  const response = await fetch(`${services.apiUrl}/rest/v1/${call.path}`, {
    method: call.method,
    headers: {
      apikey: services.keys.publishable,
      // As supabase-js does: without a session, the key is the bearer.
      authorization: `Bearer ${token ?? services.keys.publishable}`,
      ...call.headers,
    },
    ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === "" ? null : JSON.parse(text),
    range: response.headers.get("content-range"),
  };
}

/** No right to it (42501), or no such schema, table or function for the API. */
const REFUSALS = ["42501", "PGRST106", "PGRST202", "PGRST205"];

function isRefused({ status, body }: Reply, method: string): boolean {
  if (status < 400 || status >= 500) return false;
  // HEAD has no body to tell why.
  if (method === "HEAD") return true;
  return typeof body === "object" && body !== null && "code" in body &&
    REFUSALS.includes(String(body.code));
}

interface Attempt {
  readonly actor: Actor;
  readonly call: Call;
}

/** Attempts that succeeded although the list does not allow them, as `who: verb schema.object`. */
async function offences(stack: TestStack, attempts: readonly Attempt[]): Promise<string[]> {
  const found = new Set<string>();
  const waiting = attempts.filter(({ actor, call }) =>
    actor.token === null || !ALLOWED.has(call.what)
  );
  const work = async (): Promise<void> => {
    for (let attempt = waiting.shift(); attempt !== undefined; attempt = waiting.shift()) {
      const { actor, call } = attempt;
      const reply = await request(stack, actor.token, call);
      if (!isRefused(reply, call.method)) found.add(`${actor.name}: ${call.what}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return [...found].sort();
}

function isExposed({ what }: Call): boolean {
  return what.includes(" public.");
}

const TABLES = Object.keys(OF_ADA);

/** What a user sees in every table by reading, by counting and through other tables. */
async function sightOf(stack: TestStack, { token }: Actor): Promise<Sight> {
  const reading = async (
    path: string,
  ): Promise<{ body: Record<string, unknown>[]; range: string | null }> => {
    const headers = { prefer: "count=exact" };
    const reply = await request(stack, token, { what: "", method: "GET", path, headers });
    assertEquals(reply.status, 200, path);
    return { body: reply.body as Record<string, unknown>[], range: reply.range };
  };
  const seen: Record<string, string[]> = {};
  for (const table of TABLES) {
    const { body, range } = await reading(`${table}?select=id`);
    const ids = body.map(({ id }) => String(id));
    assertEquals(range?.split("/")[1], String(ids.length), `${table} counted`);
    if (ids.length > 0) seen[table] = ids.sort();
  }

  const path = "organization_memberships?select=profiles(id),organizations(id)";
  for (const row of (await reading(path)).body) {
    for (const table of ["profiles", "organizations"]) {
      const id = (row[table] as { id: string } | null)?.id;
      assert(id === undefined || seen[table]?.includes(id), `${id} through its memberships`);
    }
  }
  return seen;
}

stackTest("the API refuses everything that the list does not allow", async (stack) => {
  const pick = seeded();
  const rounds = roundsOr(1);
  await settle(stack);
  const actors = await everybody(stack);
  const { admin } = stack.database;
  const before = await digestAllRows(admin);

  for (let round = 0; round < rounds; round++) {
    const calls = await everyCall(admin, pick, ["user_ada", "org_lantern", "user_eve"]);
    assert(calls.filter(isExposed).length > 50 && calls.length > 1_000, `${calls.length} calls`);
    // Nobody may use what is not exposed: one actor tries each call; with ROUNDS, all do.
    const attempts = calls.flatMap((call): Attempt[] =>
      (isExposed(call) ? actors : [oneOf(pick, actors)]).map((actor) => ({ actor, call }))
    );

    assertEquals(await offences(stack, attempts), []);
  }
  assertEquals(await digestAllRows(admin), before);
});

stackTest("people see their own rows and their teams' rows, and no others", async (stack) => {
  await settle(stack);
  const token = await stack.services.issueToken({ sub: "user_ada" });
  const ada: Actor = { name: "ada, admin of her team", token, sees: OF_ADA, hasProfile: true };
  const signedIn = [ada, ...await everybody(stack)].filter((actor) => actor.token !== null);

  for (const actor of signedIn) assertEquals(await sightOf(stack, actor), actor.sees, actor.name);

  // The one call that writes makes the caller's own row, or none.
  const ensure: Call = {
    what: "call public.ensure_profile",
    method: "POST",
    path: "rpc/ensure_profile",
    headers: { "content-type": "application/json" },
    body: {},
  };
  for (const actor of signedIn) {
    const { body } = await request(stack, actor.token, ensure);
    assertEquals((body as unknown[]).length, actor.hasProfile ? 1 : 0, actor.name);
  }
  const rows = await stack.database.sql`select id from public.profiles order by id collate "C"`;
  assertEquals(rows.map(({ id }) => id), [
    "user_ada",
    "user_bruno",
    "user_eve",
    "user_ghost",
    "user_mallory",
  ]);
  // As the application's own code reads.
  const { data } = await (await stack.browserOf("user_ada")).from("profiles").select("id").single();
  assertEquals(data, { id: "user_ada" });
});

stackTest("control: anything that a migration forgets to close is found", async (stack) => {
  const pick = seeded();
  await settle(stack);
  const actors = (await everybody(stack)).slice(0, 2);
  await stack.database.sql.unsafe(`
    create table public.forgotten (id text primary key);
    insert into public.forgotten values ('user_ada');
    create view public.forgotten_view as select id from public.profiles;
    grant select, insert, update, delete on public.forgotten, public.forgotten_view
      to anon, authenticated, service_role;
    create function public.forgotten_function() returns text language sql return 'user_ada';
    grant insert on public.organizations to authenticated;
    create policy anybody on public.organizations for insert to authenticated with check (true);
  `);
  await stack.services.api.reload();
  const calls = await everyCall(stack.database.admin, pick, ["org_new"]);

  const found = await offences(
    stack,
    actors.flatMap((actor) => calls.filter(isExposed).map((call) => ({ actor, call }))),
  );

  assertEquals(
    found,
    actors.flatMap(({ name, token }) =>
      [
        "call public.forgotten_function",
        ...["count", "delete", "insert", "select", "update", "upsert"].map((verb) =>
          `${verb} public.forgotten`
        ),
        ...["count", "delete", "insert", "select", "update", "upsert"].map((verb) =>
          `${verb} public.forgotten_view`
        ),
        ...(token === null ? [] : ["insert public.organizations"]),
      ].map((what) => `${name}: ${what}`)
    ).sort(),
  );
});
