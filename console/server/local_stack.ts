import postgres from "postgres";
import { z } from "zod";
import { withConnection } from "../../local/postgres/databases.ts";
import { TABLES } from "../../local/postgres/is_ours.ts";
import { parseExactly } from "../../operations/exact_json.ts";
import type { People, SessionToken, TableRows, Tables } from "../api.ts";
import { given, Refused, type Routes, understood, whole } from "./answer.ts";
import type { Deps, LocalStack } from "./deps.ts";

/** Rows of a table are counted up to here. */
const MOST_COUNTED = 100_000;

const Who = z.object({
  sub: z.string().regex(/^user_\w{1,200}$/).nullable(),
  org_id: z.string().regex(/^org_\w{1,200}$/).optional(),
  org_role: z.string().max(200).optional(),
});

/** What only the local stack can do: it knows what exists, and makes tokens of anybody. */
export function viewAsRoutes({ project }: Deps): Routes {
  const local = (): LocalStack => localOf(project.local);
  return {
    "GET /api/people": async ({ query }): Promise<People> => {
      const text = query.get("text")?.trim() ?? "";
      return { people: await asOwner(local(), (sql) => peopleLike(sql, text)) };
    },
    "GET /api/tables": async (): Promise<Tables> => ({ tables: await asOwner(local(), tables) }),
    "GET /api/tables/": async ({ rest, query }): Promise<TableRows> => {
      const { limit } = understood(z.object({ limit: whole(500).default(50) }), given(query));
      return await asOwner(local(), (sql) => rowsOf(sql, rest, limit));
    },
    "POST /api/session-token": async ({ body }): Promise<SessionToken> => {
      const { sub, org_id: org, org_role: role } = understood(Who, body);
      const { issueToken } = local();
      if (sub === null) return { token: null };
      return { token: await issueToken({ sub, ...(org && { org }), ...(role && { role }) }) };
    },
  };
}

/** @throws {Refused} for any other project */
export function localOf(local: LocalStack | undefined): LocalStack {
  if (local !== undefined) return local;
  throw new Refused(
    501,
    "Only a stack of `dev` on this machine can do that: nobody can make tokens or sign events for a hosted project.",
  );
}

/** As the owner of the tables, whom no policy keeps from a row. */
function asOwner<Result>(
  { databaseUrl }: LocalStack,
  ask: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  return withConnection(databaseUrl, ask);
}

async function peopleLike(sql: postgres.Sql, text: string): Promise<People["people"]> {
  return await sql<People["people"][number][]>`
    select
      id,
      coalesce(full_name, username) as name,
      email,
      (
        select coalesce(jsonb_agg(jsonb_build_object('id', team.id, 'name', team.name, 'role', role) order by team.name), '[]')
        from public.organization_memberships
        join public.organizations as team on team.id = organization_id
        where user_id = profiles.id
      ) as organizations
    from public.profiles
    where deleted_at is null
      and strpos(lower(concat_ws(' ', id, full_name, username, email)), lower(${text})) > 0
    order by created_at desc nulls last, id
    limit 20
  `;
}

type Table = Tables["tables"][number];

async function tables(sql: postgres.Sql): Promise<Table[]> {
  const counted: Table[] = [];
  for (const table of await tablesOf(sql)) {
    const rows = await countOf(sql, table.name).catch((error) => {
      // One view that fails leaves the others usable.
      if (error instanceof postgres.PostgresError) return null;
      throw error;
    });
    counted.push({ ...table, rows });
  }
  return counted;
}

/** The tables of schema public, or the one of that name. */
async function tablesOf(sql: postgres.Sql, only?: string): Promise<Omit<Table, "rows">[]> {
  const found = await sql<Omit<Table, "rows" | "is_ours">[]>`
    select
      relname::text as name,
      relrowsecurity as has_rls,
      array(
        select attname::text
        from pg_catalog.pg_attribute
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
        order by attnum
      ) as columns,
      array(
        select attname::text
        from pg_catalog.pg_index
        join pg_catalog.pg_attribute on attrelid = indrelid and attnum = any (indkey)
        where indrelid = pg_class.oid and indisprimary
        order by array_position(indkey, attnum)
      ) as key
    from pg_catalog.pg_class
    where relnamespace = 'public'::regnamespace
      and relkind in ('r', 'p', 'v', 'm', 'f')
      and (${only ?? null}::text is null or relname = ${only ?? null})
    order by relname
  `;
  const ours: readonly string[] = TABLES;
  return found.map((table) => ({ ...table, is_ours: ours.includes(table.name) }));
}

/** Identifiers as they are: `sql(name)` would take a dot for the end of a schema's name. */
function quoted(sql: postgres.Sql, ...names: readonly string[]): ReturnType<typeof sql.unsafe> {
  return sql.unsafe(names.map((name) => `"${name.replaceAll('"', '""')}"`).join(", "));
}

async function countOf(sql: postgres.Sql, name: string): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select count(*)::integer as rows
    from (select from public.${quoted(sql, name)} limit ${MOST_COUNTED + 1}) as bounded
  `;
  return row?.rows ?? 0;
}

async function rowsOf(sql: postgres.Sql, name: string, limit: number): Promise<TableRows> {
  const [table] = await tablesOf(sql, name);
  if (table === undefined) {
    throw new Refused(404, `There is no table ${JSON.stringify(name)} in schema public`);
  }
  const order = table.key.length === 0 ? sql`` : sql`order by ${quoted(sql, ...table.key)}`;
  const rows = await sql<{ row: string }[]>`
    select to_jsonb(one)::text as row
    from public.${quoted(sql, name)} as one
    ${order}
    limit ${limit}
  `;
  return {
    rows: rows.map(({ row }) => parseExactly(row) as TableRows["rows"][number]),
    total: await countOf(sql, name),
  };
}
