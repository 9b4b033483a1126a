import { assertEquals, assertMatch } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { createDatabase, withConnection } from "../../../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../../../local/postgres/ephemeral.ts";
import { startServices } from "../../../local/services.ts";
import { createTokenIssuer, generateTokenKey } from "../../../local/clerk/token_issuer.ts";
import { until } from "../../until.ts";

const TOYS = `
  do $$
  begin
    if not exists (select from pg_roles where rolname = 'clerk_ingest') then
      create role clerk_ingest nologin;
    end if;
    grant clerk_ingest to authenticator;
  end
  $$;
  grant usage on schema public to clerk_ingest;

  create table public.toys (
    id int primary key,
    owner text not null default (auth.jwt() ->> 'sub'),
    data jsonb,
    made_at timestamptz default '2026-11-23 08:29:03+00',
    parent int references public.toys (id)
  );
  alter table public.toys enable row level security;
  create policy toys_select_own on public.toys for select to authenticated
    using (owner = (select auth.jwt() ->> 'sub'));
  create policy toys_insert_own on public.toys for insert to authenticated
    with check (owner = (select auth.jwt() ->> 'sub'));
  grant select, insert, update, delete on public.toys to authenticated, service_role;

  create table public.closed (id int);
  grant select, insert, update, delete on public.closed to service_role;

  create view public.toy_names with (security_invoker = true) as select id, owner from public.toys;
  grant select on public.toy_names to authenticated, service_role;

  create function public.whoami() returns jsonb language sql stable set search_path = '' as $$
    select jsonb_build_object(
      'role', current_user, 'claims', current_setting('request.jwt.claims', true)::jsonb)
  $$;
  create function public.echo(value jsonb) returns jsonb language sql immutable set search_path = ''
  as $$ select value $$;
  create function public.echo_json(value json) returns json language sql immutable set search_path = ''
  as $$ select value $$;
  create function public.as_text(value text) returns text language sql immutable set search_path = ''
  as $$ select value $$;
  create function public.patience() returns text language sql stable set search_path = ''
  as $$ select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') $$;
  create function public.doze() returns void language sql set search_path = ''
  as $$ select pg_catalog.pg_sleep(5) $$;
  create function public.kind(value jsonb) returns text language sql immutable set search_path = ''
  as $$ select jsonb_typeof(value) $$;
  create function public.fail(state text) returns void language plpgsql set search_path = '' as $$
  begin
    raise exception 'on purpose' using errcode = state, detail = 'a detail', hint = 'a hint';
  end
  $$;
  create function public.my_toys() returns setof public.toys language sql stable
  set search_path = '' as $$ select * from public.toys order by id $$;
  create function public.fails_late() returns void language plpgsql set search_path = '' as $$
  begin
    insert into public.late default values;
  end
  $$;

  create table public.late (id int);
  grant insert on public.late to anon, authenticated, service_role;
  create function public.tg_late() returns trigger language plpgsql set search_path = '' as $$
  begin
    raise exception 'at commit' using errcode = 'P0001';
  end
  $$;
  create constraint trigger late after insert on public.late
    deferrable initially deferred for each row execute function public.tg_late();
`;

Deno.test("the local API answers as PostgREST does behind Supabase's gateway", async (t) => {
  await using postgres = await startEphemeralPostgres();
  await createDatabase(postgres, "toys");
  await withConnection(postgres.url("toys"), (sql) => sql.unsafe(TOYS).simple());
  await using services = await startServices({ postgres, database: "toys", functions: false });
  const { apiUrl, keys } = services;

  const rest = async (
    path: string,
    options: {
      method?: string;
      key?: string;
      token?: string;
      body?: unknown;
      headers?: Record<string, string>;
    } = {},
  ): Promise<{ status: number; body: unknown; headers: Headers }> => {
    const response = await fetch(`${apiUrl}/rest/v1/${path}`, {
      method: options.method ?? (options.body === undefined ? "GET" : "POST"),
      headers: {
        ...(options.key === undefined ? {} : { apikey: options.key }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? null : JSON.parse(text),
      headers: response.headers,
    };
  };

  await t.step("a request without a key, or with an unknown one, gets nothing", async () => {
    const none = await rest("toys");
    const unknown = await rest("toys", { key: "sb_secret_wrong" });

    assertEquals(none.status, 401);
    assertEquals(none.body, {
      message: "No API key found in request",
      hint: "No `apikey` request header or url param was found.",
    });
    assertEquals(unknown.status, 401);
  });

  await t.step("a token without a key gets nothing", async () => {
    const token = await services.issueToken({ sub: "user_alice" });

    assertEquals((await rest("toys", { token })).status, 401);
  });

  await t.step("each key carries its role, as header or in the URL", async () => {
    for (
      const [key, role] of [
        [keys.publishable, "anon"],
        [keys.secret, "service_role"],
        [keys.clerkIngest, "clerk_ingest"],
      ] as const
    ) {
      const byHeader = await rest("rpc/whoami", { key, body: {} });
      const byUrl = await rest(`rpc/whoami?apikey=${key}`);

      assertEquals(byHeader.body, { role, claims: { role } });
      assertEquals(byUrl.status, 200);
    }
  });

  await t.step("a key as the bearer, which supabase-js sends, changes nothing", async () => {
    const answer = await rest("rpc/whoami", {
      key: keys.clerkIngest,
      token: keys.clerkIngest,
      body: {},
    });

    assertEquals(answer.body, { role: "clerk_ingest", claims: { role: "clerk_ingest" } });
  });

  await t.step("an unknown key as the bearer is refused", async () => {
    const answer = await rest("rpc/whoami", {
      key: keys.publishable,
      token: "sb_secret_x",
      body: {},
    });

    assertEquals(answer.status, 401);
  });

  await t.step("a session token wins over the role of the key", async () => {
    const token = await services.issueToken({ sub: "user_alice", org: "org_1", role: "org:admin" });

    for (const key of [keys.publishable, keys.secret]) {
      const { body } = await rest("rpc/whoami", { key, token, body: {} });
      const { role, claims } = body as { role: string; claims: Record<string, unknown> };

      assertEquals(role, "authenticated");
      assertEquals(claims.sub, "user_alice");
      assertEquals(claims.iss, apiUrl);
      assertEquals(claims.o, { id: "org_1", slg: "1", rol: "admin", per: "" });
    }
  });

  await t.step("a token never chooses a role with more rights", async () => {
    for (const role of ["service_role", "clerk_ingest", "postgres", "authenticator", 5]) {
      const token = await services.issueToken({ sub: "user_eve", claims: { role } });

      assertEquals((await rest("rpc/whoami", { key: keys.publishable, token })).status, 403);
    }
  });

  await t.step("expired, forged and malformed tokens are refused", async () => {
    const forger = await createTokenIssuer(apiUrl, await generateTokenKey());
    const other = await createTokenIssuer("https://elsewhere.example", keys.tokenKey);
    const unsigned = [{ alg: "none" }, { sub: "user_eve", role: "authenticated" }]
      .map((part) => btoa(JSON.stringify(part)).replaceAll("=", "")).join(".") + ".";
    const expired = await services.issueToken({ sub: "user_alice", expiresIn: -10 });

    for (
      const [token, code] of [
        [expired, "PGRST303"],
        [await forger.sign({ sub: "user_eve" }), "PGRST301"],
        [await other.sign({ sub: "user_eve" }), "PGRST301"],
        [unsigned, "PGRST301"],
        ["gibberish", "PGRST301"],
      ] as const
    ) {
      const answer = await rest("rpc/whoami", { key: keys.publishable, token });

      assertEquals(answer.status, 401);
      assertEquals((answer.body as { code: string }).code, code);
    }
  });

  await t.step("row-level security decides who reads and writes what", async () => {
    const alice = await services.issueToken({ sub: "user_alice" });
    const eve = await services.issueToken({ sub: "user_eve" });
    const key = keys.publishable;

    const made = await rest("toys", { key, token: alice, body: { id: 1 } });
    const forged = await rest("toys", { key, token: eve, body: { id: 2, owner: "user_alice" } });

    assertEquals(made.status, 201);
    assertEquals(forged.status, 403);
    assertEquals((forged.body as { code: string }).code, "42501");
    assertEquals((await rest("toys?select=id", { key, token: eve })).body, []);
    assertEquals((await rest("toys?select=id", { key, token: alice })).body, [{ id: 1 }]);
    assertEquals((await rest("toys?select=id", { key: keys.secret })).body, [{ id: 1 }]);
    assertEquals((await rest("toy_names", { key, token: alice })).body, [
      { id: 1, owner: "user_alice" },
    ]);
    const anonymous = await rest("toys", { key });
    assertEquals(anonymous.status, 401);
    assertEquals((anonymous.body as { code: string }).code, "42501");
  });

  await t.step("serving requests grants nothing to anybody", async () => {
    const acls = (): Promise<unknown[]> =>
      withConnection(postgres.superuserUrl("toys"), async (sql) => [
        ...await sql`
          select relname as name, relacl::text as acl from pg_class
          union all select nspname, nspacl::text from pg_namespace
          union all select oid::text, defaclacl::text from pg_default_acl
          order by 1, 2
        `,
      ]);
    const before = await acls();

    await services.api.reload();
    await rest("toys", { key: keys.publishable });
    const closed = await rest("closed", {
      key: keys.publishable,
      token: await services.issueToken({ sub: "user_alice" }),
    });

    assertEquals(closed.status, 403);
    assertEquals(await acls(), before);
  });

  await t.step("json goes in and comes out as it was", async () => {
    const values = [
      { a: "5", b: '"5"', c: "{}", d: null, e: [1, "1", [null, "null", true]], f: { "": "[]" } },
      "5",
      '"5"',
      "null",
      "",
      '{"a":1}',
      "plain",
      5,
      -0.25,
      true,
      false,
      [],
      ["1", 1],
      {},
    ];

    for (const value of values) {
      const echoed = await rest("rpc/echo", { key: keys.secret, body: { value } });
      const kind = await rest("rpc/kind", { key: keys.secret, body: { value } });

      assertEquals(echoed.status, 200);
      assertEquals(echoed.body, value);
      assertEquals(
        kind.body,
        Array.isArray(value) ? "array" : typeof value,
      );
    }
    // As in PostgREST, null is SQL's.
    assertEquals((await rest("rpc/kind", { key: keys.secret, body: { value: null } })).body, null);
  });

  await t.step("json columns keep strings that look like json", async () => {
    const values = ["5", '{"a":1}', { a: '"5"' }, [1, "2"], 7];
    const rows = values.map((data, at) => ({ id: 100 + at, owner: "user_json", data }));

    const made = await rest("toys?select=data&order=id", {
      key: keys.secret,
      body: rows,
      headers: { prefer: "return=representation" },
    });

    assertEquals(made.status, 201);
    assertEquals(made.body, values.map((data) => ({ data })));
  });

  await t.step("times are ISO 8601", async () => {
    const { body } = await rest("toys?id=eq.1&select=made_at", { key: keys.secret });

    assertEquals(body, [{ made_at: "2026-11-23T08:29:03+00:00" }]);
  });

  await t.step("the SQLSTATE decides the status and is the code", async () => {
    for (
      const [state, status] of [
        ["08006", 503],
        ["0L000", 403],
        ["22023", 400],
        ["23502", 400],
        ["23503", 409],
        ["23505", 409],
        ["25006", 405],
        ["28000", 403],
        ["40001", 500],
        ["40P01", 500],
        ["42501", 403],
        ["42883", 404],
        ["42P01", 404],
        ["42P17", 500],
        ["53300", 503],
        ["53400", 500],
        ["55P03", 500],
        ["57014", 500],
        ["57P01", 503],
        ["P0001", 400],
        ["P0002", 500],
        ["PT418", 418],
        ["XX000", 500],
        ["CS001", 400],
      ] as const
    ) {
      const answer = await rest("rpc/fail", { key: keys.secret, body: { state } });

      assertEquals([state, answer.status], [state, status]);
      assertEquals(answer.body, {
        code: state,
        details: "a detail",
        hint: "a hint",
        message: "on purpose",
      });
    }
    const anonymous = await rest("rpc/fail", { key: keys.publishable, body: { state: "42501" } });
    assertEquals(anonymous.status, 401);
  });

  await t.step("an error at commit is answered like any other", async () => {
    const answer = await rest("rpc/fails_late", { key: keys.secret, body: {} });

    assertEquals(answer.status, 400);
    assertEquals(answer.body, {
      code: "P0001",
      details: null,
      hint: null,
      message: "at commit",
    });
  });

  await t.step("a request that is refused half-way is rolled back", async () => {
    const body = [{ id: 201, owner: "x" }, { id: 202, owner: "x" }];
    await rest("toys", { key: keys.secret, body });

    const answer = await rest("toys?owner=eq.x&select=id", {
      method: "DELETE",
      key: keys.secret,
      headers: {
        accept: "application/vnd.pgrst.object+json",
        prefer: "return=representation",
      },
    });

    assertEquals(answer.status, 406);
    assertEquals((await rest("toys?owner=eq.x&select=id&order=id", { key: keys.secret })).body, [
      { id: 201 },
      { id: 202 },
    ]);
    await rest("toys?owner=eq.x", { method: "DELETE", key: keys.secret });
  });

  await t.step("unknown tables, functions and schemas are named in PostgREST's codes", async () => {
    const key = keys.secret;

    const table = await rest("toyz", { key });
    const callable = await rest("rpc/nothing", { key, body: {} });
    const schema = await rest("toys", { key, headers: { "accept-profile": "auth" } });
    const path = await rest("%E0%A4%A", { key });

    assertEquals(table.status, 404);
    assertEquals(table.body, {
      code: "PGRST205",
      details: null,
      hint: "Perhaps you meant the table 'public.toys'",
      message: "Could not find the table 'public.toyz' in the schema cache",
    });
    assertEquals(callable.status, 404);
    assertEquals((callable.body as { code: string }).code, "PGRST202");
    assertEquals(schema.status, 406);
    assertEquals(path.status, 404);
  });

  await t.step("a change of the schema is seen", async () => {
    await withConnection(postgres.url("toys"), async (sql) => {
      await sql`create table public.fresh (id int)`;
      await sql`grant select on public.fresh to service_role`;
    });
    await services.api.reload();

    assertEquals((await rest("fresh", { key: keys.secret })).status, 200);
  });

  await t.step("requests under way survive changes of the schema", async () => {
    const statuses = new Set<number>();
    let answered = 0;
    let isChanging = true;
    const ask = async (): Promise<void> => {
      while (isChanging) {
        statuses.add((await rest("toys", { key: keys.secret })).status);
        answered++;
      }
    };
    const change = async (): Promise<void> => {
      await withConnection(postgres.url("toys"), async (sql) => {
        for (let at = 0; at < 10; at++) {
          const before = answered;
          await sql.unsafe(`alter table public.toys add column more_${at} int`);
          await until("requests are answered after it", () => answered > before + 8);
        }
        for (let at = 0; at < 10; at++) {
          await sql.unsafe(`alter table public.toys drop column more_${at}`);
        }
      });
    };

    const asking = Array.from({ length: 8 }, ask);
    await change().finally(() => isChanging = false);
    await Promise.all(asking);

    assertEquals([...statuses], [200]);
  });

  await t.step("a browser on another port may call it", async () => {
    const preflight = await fetch(`${apiUrl}/rest/v1/toys`, {
      method: "OPTIONS",
      headers: {
        origin: "http://localhost:3000",
        "access-control-request-method": "GET",
        "access-control-request-headers": "apikey,authorization,x-client-info",
      },
    });
    await preflight.body?.cancel();
    const refused = await rest("toys");

    assertEquals(preflight.ok, true);
    assertEquals(preflight.headers.get("access-control-allow-origin"), "*");
    assertMatch(
      preflight.headers.get("access-control-allow-headers") ?? "",
      /authorization, x-client-info, apikey/,
    );
    assertEquals(refused.headers.get("access-control-allow-origin"), "*");
  });

  await t.step("supabase-js works against it, signed in and not", async () => {
    const token = await services.issueToken({ sub: "user_alice" });
    const alice = createClient(apiUrl, keys.publishable, {
      accessToken: () => Promise.resolve(token),
    });
    const server = createClient(apiUrl, keys.secret, { auth: { persistSession: false } });

    const own = await alice.from("toys").select("id, made_at").single();
    const called = await alice.rpc("my_toys").select("id");
    const all = await server.from("toys").select("*", { count: "exact", head: true });

    assertEquals(own.data, { id: 1, made_at: "2026-11-23T08:29:03+00:00" });
    assertEquals(called.data, [{ id: 1 }]);
    assertEquals(all.count, 6);
  });

  /** The text of the response, without white space. */
  const exactly = async (method: string, path: string, body?: string): Promise<string> => {
    const response = await fetch(`${apiUrl}/rest/v1/${path}`, {
      method,
      headers: {
        apikey: keys.secret,
        "content-type": "application/json",
        prefer: "return=representation",
      },
      ...(body === undefined ? {} : { body }),
    });
    return (await response.text()).replaceAll(" ", "");
  };

  await t.step("json of any number and depth keeps its text in both directions", async () => {
    const numbers =
      "[9007199254740993,-12345678901234567890,0.12345678901234567890,12345678.9012345678901,0.10]";
    const zeros = "0".repeat(400);
    const deep = `${'{"a":['.repeat(2_400)}"\\\\,]}"${"]}".repeat(2_400)}`;
    const values = [numbers, `{"a":${numbers},"b":-1${zeros}}`, deep, `"${"9".repeat(30)}"`];
    const sent = values.map((value) => value.replace(`-1${zeros}`, "-1e400"));
    const rows = sent.map((data, at) => `{"id":${200 + at},"owner":"user_n","data":${data}}`);

    const made = await exactly("POST", "toys?select=data", ` [ ${rows.join(" , ")} ] `);
    const read = await exactly("GET", "toys?select=data&id=gte.200&order=id");
    const changed = await exactly("PATCH", "toys?id=eq.1&select=data", `{"data":${numbers}}`);

    const data = values.map((value) => `{"data":${value}}`);
    assertEquals(made, `[${data}]`);
    assertEquals(read, `[${data}]`);
    assertEquals(changed, `[{"data":${numbers}}]`);
    for (const [at, value] of values.entries()) {
      assertEquals(await exactly("POST", "rpc/echo", `{ "value" : ${sent[at]} }`), value);
      assertEquals(await exactly("POST", "rpc/echo_json", `{"value":${sent[at]}}`), sent[at]);
      const [row] = await withConnection(
        postgres.url("toys"),
        (sql) =>
          sql`select replace(data::text, ' ', '') as data from public.toys where id = ${200 + at}`,
      );
      assertEquals(row?.data, value);
    }
  });

  await t.step(
    "a text argument gets a string as it is, and the JSON text of anything else",
    async () => {
      const cases: [string, string][] = [
        ['"a \\"b\\" \\u00e9"', 'a "b" é'],
        ['"{\\"a\\": 1}"', '{"a": 1}'],
        ['{"a": [1.50, "}"] }', '{"a": [1.50, "}"] }'],
        ["[1, 2]", "[1, 2]"],
        ["9007199254740993", "9007199254740993"],
        ["true", "true"],
      ];

      for (const [value, expected] of cases) {
        const response = await fetch(`${apiUrl}/rest/v1/rpc/as_text`, {
          method: "POST",
          headers: { apikey: keys.secret, "content-type": "application/json" },
          body: `{"value":${value}}`,
        });
        assertEquals(await response.json(), expected);
      }
      assertEquals(await exactly("POST", "rpc/as_text", '{"value":null}'), "null");
    },
  );

  await t.step(
    "the settings of a role apply to its own requests, as of the last reload",
    async () => {
      const patience = async (key: string): Promise<unknown> =>
        (await rest("rpc/patience", { key, body: {} })).body;
      await withConnection(postgres.superuserUrl("toys"), (sql) =>
        sql.unsafe(`
        alter role clerk_ingest set statement_timeout = '3s';
        alter role clerk_ingest set lock_timeout = '5s';
        alter role clerk_ingest in database toys set lock_timeout = '4s';
        alter role clerk_ingest set log_min_messages = 'error';
      `).simple());
      const before = await patience(keys.clerkIngest);

      await services.api.reload();

      assertEquals(before, "8s 8s");
      assertEquals(await patience(keys.clerkIngest), "3s 4s");
      assertEquals(await patience(keys.secret), "8s 8s");
      const late = await rest("rpc/doze", { key: keys.clerkIngest, body: {} });
      assertEquals([late.status, (late.body as { code: string }).code], [500, "57014"]);
    },
  );

  await t.step("the public keys are served where Clerk serves them", async () => {
    const response = await fetch(`${apiUrl}/.well-known/jwks.json`);
    const jwks = await response.json();

    assertEquals(Object.keys(jwks.keys[0]).sort(), ["alg", "e", "kid", "kty", "n", "use"]);
  });

  await t.step("nothing else is served", async () => {
    for (const path of ["", "_system/config", "auth/v1/signup", "rest", "functions/v1/other"]) {
      const response = await fetch(`${apiUrl}/${path}`, { headers: { apikey: keys.secret } });
      await response.body?.cancel();

      assertEquals(response.status, 404);
    }
  });
});
