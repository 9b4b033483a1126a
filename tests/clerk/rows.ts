import type postgres from "postgres";

// The rows of the database in the form of the model.

/** A column that may differ between two orders of arrival. */
export interface Exception {
  readonly column: string;
  /** Tables of `public`. */
  readonly tables: readonly string[];
  /** What of the column is not compared. */
  readonly what:
    | "all of it"
    | "its value, but not whether it is null"
    | "its value, if a page told of the row last"
    | "whether there is a row";
  readonly why: string;
}

/** All that I4 excepts. docs/proof.md shows the same list. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    column: "synced_at",
    tables: [
      "profiles",
      "organizations",
      "organization_memberships",
      "organization_invitations",
      "subscription_items",
      "organization_roles",
    ],
    what: "all of it",
    why: "The time, by the database's clock, at which the row was last written.",
  },
  {
    column: "deleted_at",
    tables: ["profiles", "organizations", "organization_roles"],
    what: "its value, but not whether it is null",
    why: "A deletion whose event has no timestamp is as old as its arrival.",
  },
  ...[
    { column: "last_sign_in_at", tables: ["profiles"] },
    { column: "last_active_at", tables: ["profiles"] },
    { column: "members_count", tables: ["organizations"] },
  ].map((moving) => ({
    ...moving,
    what: "its value, if a page told of the row last" as const,
    why:
      "It changes without a change of `updated_at`, and is no reason to write a row from a page.",
  })),
  {
    column: "id",
    tables: ["organizations"],
    what: "whether there is a row",
    why:
      "If only session tokens and memberships name an organization, a call of `ensure_profile()` or a membership's event makes a row with nothing but the id. None is made for a user who is banned, deprovisioned or deleted by then, nor by an event that failed and was settled by the deletion of its user. Excepted only if this is so of all those users, at some time.",
  },
];

/** The rows of one table by id, without the columns that are excepted. */
function rowsOf(name: string, table: string): string {
  const columns = EXCEPTIONS
    .filter(({ tables }) => tables.includes(table))
    .map(({ column, what }) => {
      switch (what) {
        case "all of it":
          return ` - '${column}'`;
        case "its value, but not whether it is null":
          return ` - '${column}' || jsonb_build_object('gone', ${column} is not null)`;
        case "its value, if a page told of the row last":
        case "whether there is a row":
          // Which rows are excepted depends on the events and pages.
          return "";
        default:
          return what satisfies never;
      }
    });
  return `'${name}', (
    select coalesce(jsonb_object_agg(id, to_jsonb(row)${columns.join("")}), '{}')
    from public.${table} as row
  )`;
}

/** An expression of SQL: the rows of every table that Clerk decides, as the model has them. */
export const ROWS = `
jsonb_build_object(
  ${rowsOf("profiles", "profiles")},
  ${rowsOf("organizations", "organizations")},
  ${rowsOf("memberships", "organization_memberships")},
  ${rowsOf("invitations", "organization_invitations")},
  ${rowsOf("items", "subscription_items")},
  ${rowsOf("roles", "organization_roles")},
  'register', (
    select coalesce(jsonb_object_agg(id, data), '{}')
    from clerk_sync.objects
    where data is not null
  )
)
`;

/**
 * Fails when a migration has added a table to public that {@linkcode ROWS} does not compare.
 *
 * @throws {Error}
 */
export async function assertAllCompared(admin: postgres.Sql): Promise<void> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname = 'public'
  `;
  const forgotten = tables.map(({ name }) => name).filter((name) => !ROWS.includes(` ${name} as `));
  if (forgotten.length > 0) {
    throw new Error(
      `Cannot prove that everything converges: nothing compares ${forgotten.join(", ")}`,
    );
  }
}
