import { assertEquals, assertRejects } from "@std/assert";
import { databaseTest } from "../test_database.ts";

// A direct login can create types in pg_temp. If a function found a domain named text there, it would run
// the login's code with the rights of the function's owner.

/** The check of a domain runs as the role that converts a value to the domain. */
const SHADOWS = `
  create function pg_temp.mallory() returns pg_catalog.bool language plpgsql as $$
    begin raise exception using errcode = 'P0666', message = 'mallory runs as ' || current_user; end $$;
  create domain pg_temp.text as pg_catalog.text check (pg_temp.mallory());
  create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.mallory());
  create domain pg_temp.bool as pg_catalog.bool check (pg_temp.mallory());
  create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.mallory());
`;

const CLAIMS = `{"sub": "user_alice", "role": "authenticated", "org_id": "org_acme"}`;

const CALLS: readonly [role: string, call: string][] = [
  ["authenticated", "select * from public.ensure_profile()"],
  ["authenticated", "select clerk.user_id(), clerk.org_id(), clerk.org_role(), clerk.actor_id()"],
  ["authenticated", "select clerk.is_member_of('org_acme'), clerk.my_organization_ids()"],
  ["authenticated", "select clerk.has_org_role('admin'), clerk.has_org_permission('read')"],
  ["authenticated", "select clerk.has_plan('pro')"],
  ["authenticated", "select * from public.profiles"],
  [
    "clerk_ingest",
    `select public.ingest_clerk_event('msg_1', '{"type": "user.created", "timestamp": 1760000000000,
      "data": {"id": "user_alice", "first_name": "Alice", "updated_at": 1760000000000}}')`,
  ],
  ["clerk_ingest", "select public.record_clerk_rejection('msg_2', null, '[]', '{}')"],
  ["clerk_worker", "select public.read_clerk_changes(1, 1)"],
  ["clerk_worker", "select public.settle_clerk_changes('[]')"],
  ["clerk_worker", "select public.claim_welcome_mail('user_alice', gen_random_uuid(), 60)"],
];

for (const [role, call] of CALLS) {
  databaseTest(`${role} cannot shadow a type: ${call.slice(0, 60)}`, async ({ connect }) => {
    const session = connect(1);
    await session.unsafe(SHADOWS).simple();

    await session.unsafe(`
      set request.jwt.claims = '${CLAIMS}';
      set role ${role};
      ${call};
    `).simple();

    const control = await assertRejects(() => session.unsafe("select 'x'::text"), Error);
    assertEquals((control as { code?: string }).code, "P0666");
  });
}
