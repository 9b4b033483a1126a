import type postgres from "postgres";
import { z } from "zod";

/** The rows that frontends read, as far as a {@linkcode aBacklog backlog} decides them. */
export interface Rows {
  readonly profiles: readonly Profile[];
  readonly organizations: readonly Organization[];
  readonly memberships: readonly Membership[];
}

interface Profile {
  readonly id: string;
  readonly name: string | null;
  readonly email: string | null;
  readonly plan: string | null;
  readonly updated_at: number | null;
  readonly gone: boolean;
}

interface Organization {
  readonly id: string;
  readonly name: string | null;
  readonly members_count: number | null;
  readonly updated_at: number | null;
  readonly gone: boolean;
}

interface Membership {
  readonly id: string;
  readonly organization_id: string;
  readonly user_id: string;
  readonly role: string;
  readonly member_name: string | null;
  readonly updated_at: number;
}

const Event = z.object({
  type: z.string(),
  timestamp: z.number(),
  data: z.object({
    id: z.string(),
    updated_at: z.number().optional(),
    first_name: z.string().optional(),
    last_name: z.string().optional(),
    primary_email_address_id: z.string().optional(),
    email_addresses: z.array(z.object({ id: z.string(), email_address: z.string() })).optional(),
    public_metadata: z.object({ plan: z.string().optional() }).optional(),
    name: z.string().optional(),
    members_count: z.number().optional(),
    role: z.string().optional(),
    organization: z.object({ id: z.string() }).optional(),
    public_user_data: z.object({ user_id: z.string() }).optional(),
  }),
});
type Event = z.infer<typeof Event>;

/**
 * What the rows must be once these messages have arrived, in whatever order: of every object the newest
 * version; a deletion is final and takes memberships along; a membership brings the rows of its parents.
 */
export function expectedRows(messages: Iterable<{ id: string; body: string }>): Rows {
  const newest = new Map<string, { event: Event; rank: [number, number, string] }>();
  const gone = new Set<string>();
  const spokenOf = new Set<string>();

  for (const message of messages) {
    const event = Event.parse(JSON.parse(message.body));
    const { id, updated_at = 0, organization, public_user_data } = event.data;
    const rank: [number, number, string] = [updated_at, event.timestamp, message.id];

    for (const each of [id, organization?.id, public_user_data?.user_id]) {
      if (each !== undefined) spokenOf.add(each);
    }
    if (event.type.endsWith(".deleted")) gone.add(id);
    else if (isLess(newest.get(id)?.rank, rank)) newest.set(id, { event, rank });
  }

  const dataOf = (id: string): Event["data"] | undefined =>
    gone.has(id) ? undefined : newest.get(id)?.event.data;
  const ids = [...spokenOf].sort(byText);

  return {
    profiles: ids.filter((id) => id.startsWith("user_")).map((id) => {
      const data = dataOf(id);
      return {
        id,
        name: nameOf(data),
        email: data?.email_addresses?.find((each) => each.id === data.primary_email_address_id)
          ?.email_address ?? null,
        plan: data?.public_metadata?.plan ?? null,
        updated_at: data?.updated_at ?? null,
        gone: gone.has(id),
      };
    }),
    organizations: ids.filter((id) => id.startsWith("org_")).map((id) => {
      const data = dataOf(id);
      return {
        id,
        name: data?.name ?? null,
        members_count: data?.members_count ?? null,
        updated_at: data?.updated_at ?? null,
        gone: gone.has(id),
      };
    }),
    memberships: ids.filter((id) => id.startsWith("orgmem_")).flatMap((id) => {
      const data = dataOf(id);
      const organization = data?.organization?.id ?? "";
      const user = data?.public_user_data?.user_id ?? "";
      if (data === undefined || gone.has(organization) || gone.has(user)) return [];
      return [{
        id,
        organization_id: organization,
        user_id: user,
        role: data.role ?? "",
        member_name: nameOf(dataOf(user)),
        updated_at: data.updated_at ?? 0,
      }];
    }),
  };
}

/** What the rows are. */
export async function rowsIn(sql: postgres.Sql): Promise<Rows> {
  const [row] = await sql<{ rows: Rows }[]>`
    select jsonb_build_object(
      'profiles', coalesce((
        select jsonb_agg(jsonb_build_object(
          'id', id, 'name', full_name, 'email', email, 'plan', public_metadata -> 'plan',
          'updated_at', (extract(epoch from updated_at) * 1000)::bigint,
          'gone', deleted_at is not null) order by id collate "C")
        from public.profiles), '[]'),
      'organizations', coalesce((
        select jsonb_agg(jsonb_build_object(
          'id', id, 'name', name, 'members_count', members_count,
          'updated_at', (extract(epoch from updated_at) * 1000)::bigint,
          'gone', deleted_at is not null) order by id collate "C")
        from public.organizations), '[]'),
      'memberships', coalesce((
        select jsonb_agg(jsonb_build_object(
          'id', id, 'organization_id', organization_id, 'user_id', user_id, 'role', role,
          'member_name', member_name,
          'updated_at', (extract(epoch from updated_at) * 1000)::bigint) order by id collate "C")
        from public.organization_memberships), '[]')
    ) as rows
  `;
  if (row === undefined) throw new Error("The database gave no rows");
  return row.rows;
}

function nameOf(data: Event["data"] | undefined): string | null {
  return data?.first_name === undefined ? null : `${data.first_name} ${data.last_name ?? ""}`;
}

function isLess(
  one: readonly [number, number, string] | undefined,
  [version, observed, id]: readonly [number, number, string],
): boolean {
  if (one === undefined) return true;
  if (one[0] !== version) return one[0] < version;
  if (one[1] !== observed) return one[1] < observed;
  return one[2] < id;
}

function byText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
