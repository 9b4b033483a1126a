import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  anId,
} from "../../local/clerk/events.ts";
import type { TestStack } from "../test_stack.ts";

/**
 * Fills a stack with an hour of everyday life: deliveries of all outcomes, long names, an erased user, dead
 * letters, refused requests.
 *
 * @returns the ids by what they are: USER, ERASED, and the messages FAILED and APPLIED
 */
export async function seedHistory(stack: TestStack): Promise<Readonly<Record<string, string>>> {
  const { sql } = stack.database;
  const [USER, ERASED, FAILED, APPLIED] = [
    anId("user"),
    anId("user"),
    anId("msg"),
    anId("msg"),
  ];
  const organization = anId("org");
  const ada = aClerkUser({
    id: USER,
    first_name: "Ada",
    public_metadata: { plan: "free", seats: 1 },
  });
  const erased = aClerkUser({ id: ERASED, first_name: "Bruno" });
  const at = (minutes: number): number => Number(ada.updated_at) + minutes * 60_000;
  await stack.send(anEvent("user.created", ada));
  await stack.send(anEvent("user.created", erased));
  await stack.send(anEvent("organization.created", aClerkOrganization({ id: organization })));
  const membership = aClerkMembership({ user: USER, organization });
  await stack.send(anEvent("organizationMembership.created", membership));
  const changed = {
    ...ada,
    username: "ada",
    public_metadata: { plan: "pro", seats: 12, flags: ["beta", "early-access"] },
    updated_at: at(2),
  };
  await stack.send(anEvent("user.updated", changed), { id: APPLIED });
  await stack.send(anEvent("user.updated", { ...ada, updated_at: at(1) }));
  await stack.send(anEvent("user.deleted", aDeletedClerkUser(ERASED)));
  await stack.send(anEvent("session.created", { id: anId("sess"), user_id: USER }));
  await stack.send(anEvent("user.updated", { ...changed, email_addresses: "none" }));
  await sql`
    alter table public.profiles add constraint profiles_name_is_short check (length(last_name) < 40)
  `;
  const long = aClerkUser({
    last_name: "Featherstonehaugh-Wolfeschlegelsteinhausenbergerdorff",
    public_metadata: { note: "<img src=x onerror=alert(1)>", big: 1, list: [1, 2, 3] },
  });
  await stack.send(anEvent("user.created", long), { id: FAILED });
  const refused = anEvent("user.created", aClerkUser());
  await stack.send(refused, { secret: `whsec_${btoa("x".repeat(24))}` });
  await stack.send(refused, { at: new Date(Date.now() - 3_600_000) });

  // What came before: the inbox has no payload of it any more.
  await sql`
    insert into clerk_sync.inbox (
      message_id, type, object_id, outcome, error, occurred_at, received_at, last_delivered_at, deliveries
    )
    select
      'msg_' || substr(translate(encode(sha256(n::text::bytea), 'base64'), '+/', 'Kz'), 1, 27),
      (array['user.updated', 'user.created', 'session.created', 'organizationMembership.created',
        'organization.updated', 'organizationInvitation.accepted'])[1 + n % 6],
      (array['user', 'user', 'sess', 'orgmem', 'org', 'orginv'])[1 + n % 6] || '_' ||
        substr(translate(encode(sha256((n % 97)::text::bytea), 'base64'), '+/', 'Qw'), 1, 27),
      outcome,
      case outcome
        when 'failed' then '{"sqlstate": "23514", "message": "violates check constraint"}'::jsonb
        when 'unreadable' then '{"issues": [{"path": "data.id", "code": "invalid_type"}]}'::jsonb
      end,
      received_at - make_interval(secs => 0.12 + (n * 7919 % 100) / 180.0),
      received_at,
      received_at,
      1 + (n % 11 = 0)::integer
    from generate_series(1, 420) as n
    cross join lateral (
      select
        now() - make_interval(secs => 20 + n * 8 + 5 * sin(n)) as received_at,
        case
          when n % 6 = 2 then 'ignored'
          when n between 90 and 110 and n % 3 = 0 then 'failed'
          when n = 105 then 'unreadable'
          when n % 13 = 0 then 'stale'
          else 'applied'
        end as outcome
    ) as made
  `;
  // What became of changes, and runs over Clerk's API.
  await sql`
    select public.settle_clerk_changes(jsonb_agg(
      jsonb_build_object('message_id', change -> 'message_id', 'reads', change -> 'reads') ||
      case n
        when 1 then '{"verdict": "dead", "error_class": "http_410"}'::jsonb
        when 2 then '{"verdict": "retry", "delay_seconds": 300, "handler": "forward", "error_class": "http_503"}'
        else '{"verdict": "done"}'
      end
    ))
    from public.read_clerk_changes(4, 60) with ordinality as taken (change, n)
  `;
  const tally = {
    ...{ total: 18_235, listed: 18_235, missing: 2, outdated: 5, unchanged: 18_228, stale: 0 },
    ...{ gone: 0, unreadable: 0, refused: 0, surplus: 0, limit: 100, kept: 0, deleted: 0 },
  };
  await sql`
    insert into clerk_sync.runs (kind, options, state, began_at, leased_until, finished_at)
    select
      case when n % 4 = 0 then 'reconcile' else 'poll' end,
      jsonb_build_object('scheduled', n % 5 <> 0),
      jsonb_build_object('tallies', jsonb_build_object('user', ${
    JSON.stringify(tally)
  }::text::jsonb)),
      now() - make_interval(hours => 12 - n),
      now() - make_interval(hours => 12 - n, secs => -90),
      case when n <> 7 then now() - make_interval(hours => 12 - n, secs => -71) end
    from generate_series(1, 11) as n
  `;
  return { USER, ERASED, FAILED, APPLIED };
}
