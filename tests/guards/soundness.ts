import postgres from "postgres";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { createDatabase } from "../../local/postgres/databases.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { TEMPLATE } from "../test_server.ts";

// A function that names a missing column loads, and fails when it is called.

const EVENTS: readonly Json[] = [
  anEvent("user.created", aClerkUser({ id: "user_ada" })),
  anEvent("user.updated", aClerkUser({ id: "user_ada", first_name: "Augusta" })),
  anEvent("organization.created", aClerkOrganization({ id: "org_1" })),
  anEvent(
    "organizationMembership.created",
    aClerkMembership({ user: "user_ada", organization: "org_1" }, { id: "orgmem_1" }),
  ),
  anEvent("organizationInvitation.created", aClerkInvitation("org_1", { id: "orginv_1" })),
  anEvent(
    "subscriptionItem.active",
    aClerkSubscriptionItem({ user: "user_ada" }, { id: "csub_item_1" }),
  ),
  anEvent("role.created", { id: "role_1", updated_at: 1_760_000_000_000 }),
  anEvent("planet.discovered", { id: "planet_9" }),
  anEvent("user.updated", { id: 1 }),
  anEvent("user.deleted", aDeletedClerkUser("user_ada")),
  anEvent("organization.deleted", aDeletedClerkOrganization("org_1")),
];

const CALLS: readonly string[] = [
  `select public.record_clerk_rejection('msg_raw', null, '[]', '{"raw": "["}')`,
  "select public.read_clerk_changes(3, 60)",
  `select public.settle_clerk_changes('[
    {"message_id": 1, "verdict": "done"},
    {"message_id": 2, "verdict": "retry"},
    {"message_id": 3, "verdict": "dead"}
  ]')`,
  "select public.clerk_changes_status()",
  "select public.redrive_clerk_changes()",
  "select public.claim_welcome_mail('user_ada', gen_random_uuid(), 60)",
  "select public.settle_welcome_mail('user_ada', gen_random_uuid(), true)",
  "select clerk.make_my_profile()",
  "select clerk.has_org_role('admin'), clerk.has_org_permission('a:b'), clerk.has_plan('pro')",
];

/** SQLSTATEs of broken code: class 42, except for a missing privilege. */
const WRONG_CODE = /^42(?!501)/;

/**
 * Calls every entry point once on a server's {@link TEMPLATE}.
 *
 * @returns why the code is broken, or undefined; its results are not checked
 */
export async function whyUnsound(server: PostgresAddress): Promise<string | undefined> {
  await createDatabase(server, "soundness", { template: TEMPLATE });
  const sql = postgres(server.url("soundness"), { max: 1, onnotice: () => {} });
  try {
    for (const [number, event] of EVENTS.entries()) {
      const why = await whyWrong(
        sql,
        "select public.ingest_clerk_event($1, $2::text::jsonb) as answer",
        [
          `msg_${number}`,
          JSON.stringify(event),
        ],
      );
      if (why !== undefined) return why;
    }
    for (const call of CALLS) {
      const why = await whyWrong(sql, call);
      if (why !== undefined) return why;
    }
    return undefined;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function whyWrong(
  sql: postgres.Sql,
  call: string,
  values: string[] = [],
): Promise<string | undefined> {
  try {
    const [row] = await sql.unsafe<{ answer?: { sqlstate?: string } }[]>(call, values);
    const state = row?.answer?.sqlstate ?? "";
    return WRONG_CODE.test(state) ? `an event fails with ${state}` : undefined;
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    return WRONG_CODE.test(error.code) ? `${error.code}: ${error.message}` : undefined;
  }
}
