import type { PostgresConnection } from "@supabase/lite/postgres";

/** What one `alter role … set` says. */
export interface RoleSetting {
  readonly name: string;
  readonly value: string;
}

export type RoleSettings = ReadonlyMap<string, readonly RoleSetting[]>;

/**
 * Reads the settings that PostgREST applies to the transactions of each role: those that any role may
 * change. Settings for this database, which PostgREST does not look at, win over those for all.
 */
export async function readRoleSettings(
  { driver }: Pick<PostgresConnection, "driver">,
): Promise<RoleSettings> {
  const rows = await driver<(RoleSetting & { readonly role: string })[]>`
    select
      setrole::regrole::text as role,
      each.name,
      substr(assigned, strpos(assigned, '=') + 1) as value
    from pg_catalog.pg_db_role_setting
    cross join unnest(setconfig) as assigned
    join pg_catalog.pg_settings as each on each.name = split_part(assigned, '=', 1)
    where each.context = 'user'
      and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    order by setdatabase
  `;
  return Map.groupBy(rows, ({ role }) => role);
}
