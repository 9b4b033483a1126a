import { assert, assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import {
  type ApiName,
  APIS,
  type Approach,
  CLAIM_WORK_COMPLETE,
  type Contender,
  INSERT_UPDATE,
  OURS,
  SELECT_THEN_WRITE,
  start,
} from "../../bench/whole_path/contender.ts";
import { aMessage, paceOf, send } from "../../bench/whole_path/load.ts";
import { lossesOf } from "../../bench/whole_path/losses.ts";
import {
  aClerkUser,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { aCrowd, type Crowd } from "../clerk/crowd.ts";
import { testServer } from "../test_server.ts";

function contenderTest(
  name: string,
  approach: Approach,
  test: (contender: Contender) => Promise<void>,
): void {
  Deno.test({
    name,
    fn: async () => {
      await using contender = await start(approach, await testServer());
      await test(contender);
    },
    // The Postgres server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

const AT = Date.now() - 60_000;

/** A user whose primary address is the last entry. */
function seen(id: string, change: number): JsonObject {
  return aClerkUser({
    id,
    first_name: `Name ${change}`,
    primary_email_address_id: "idn_2",
    email_addresses: [
      { id: "idn_1", email_address: "former@example.org", verification: null },
      { id: "idn_2", email_address: `${change}@example.com`, verification: null },
    ],
    updated_at: AT + change,
  });
}

const NONE = {
  resurrected: 0,
  missing: 0,
  stale: 0,
  wrongEmail: 0,
  givenUp: 0,
  writesByReplay: 0,
};

/** One person for each kind of loss. */
function lostOnPurpose(): Crowd {
  const message = (type: string, data: JsonObject) => aMessage(anEvent(type, data));
  const returns = message("user.created", seen("user_returns", 0));
  const ages = message("user.created", seen("user_ages", 0));
  const changes = message("user.updated", seen("user_ages", 1));
  const goes = message("user.deleted", aDeletedClerkUser("user_returns"));
  const first = message("user.created", seen("user_first", 0));
  const again = message("user.created", seen("user_first", 0));
  const person = (id: string, change: number, deleted = false) => ({
    id,
    deleted,
    firstName: `Name ${change}`,
    email: `${change}@example.com`,
  });

  return {
    people: [
      person("user_returns", 0, true),
      person("user_ages", 1),
      person("user_first", 0),
      person("user_never", 0),
    ],
    messages: [returns, goes, ages, changes, first],
    deliveries: [goes, returns, changes, ages, first, again],
  };
}

contenderTest("each kind of loss of insert, update is counted", INSERT_UPDATE, async (handler) => {
  const losses = await lossesOf(handler, lostOnPurpose(), { crashes: 0, senders: 1 });

  assertEquals(losses, {
    resurrected: 1,
    missing: 1,
    stale: 1,
    wrongEmail: 1,
    givenUp: 1,
    // The deletion, the change, and the creation that is repeated after the deletion.
    writesByReplay: 3,
  });
});

contenderTest(
  "clerk-sync loses nothing of the same events but what never came",
  OURS,
  async (handler) => {
    const losses = await lossesOf(handler, lostOnPurpose(), { crashes: 0, senders: 1 });

    assertEquals(losses, { ...NONE, missing: 1 });
  },
);

contenderTest(
  "clerk-sync loses nothing when its function crashes on the way",
  OURS,
  async (handler) => {
    const crowd = aCrowd(12, 1);

    const losses = await lossesOf(handler, crowd, { crashes: 2 });

    assertEquals(losses, NONE);
    // Something could be lost: there are deletions, and deliveries in another order.
    assert(crowd.people.some(({ deleted }) => deleted));
    assertNotEquals(crowd.deliveries[0]?.id, crowd.messages[0]?.id);
  },
);

contenderTest(
  "claim, work, complete writes nothing twice, and loses late events",
  CLAIM_WORK_COMPLETE,
  async (handler) => {
    const losses = await lossesOf(handler, aCrowd(12, 1), { crashes: 1 });

    assertEquals(losses.writesByReplay, 0);
    assertGreater(losses.resurrected + losses.stale, 0);
  },
);

const REQUESTS: [Approach, number][] = [
  [OURS, 1],
  [INSERT_UPDATE, 1],
  [SELECT_THEN_WRITE, 2],
  [CLAIM_WORK_COMPLETE, 3],
];
for (const [approach, requests] of REQUESTS) {
  contenderTest(
    `${approach.name} sends ${requests} requests to PostgREST for each event`,
    approach,
    async (handler) => {
      for (const api of APIS) {
        const messages = [1, 2, 3].map(() => aMessage(anEvent("user.created", aClerkUser())));

        assertEquals(paceOf([await send(handler, messages, api)]).requests, requests);
      }
    },
  );

  contenderTest(
    `${approach.name} writes the same rows behind the lean API as behind the local one`,
    approach,
    async (handler) => {
      const [lean, local] = [await rowsOf(handler, "lean"), await rowsOf(handler, "local")];

      assertEquals(lean, local);
      assertEquals(lean.map(({ first_name }) => first_name), ["Name 0", "Name 1"]);
    },
  );
}

/** Three users are created, one of them is changed and one is deleted; returns the rows of the living. */
async function rowsOf(
  handler: Contender,
  api: ApiName,
): Promise<{ first_name: string | null; email: string | null }[]> {
  const { sql, approach } = handler;
  const [kept, changed, deleted] = [1, 2, 3].map((number) => `user_${api}${number}`) as [
    string,
    string,
    string,
  ];
  const message = (type: string, data: JsonObject) => aMessage(anEvent(type, data));
  const creations = [kept, changed, deleted].map((id) => message("user.created", seen(id, 0)));
  await send(handler, creations, api);
  // A creation that arrives twice takes other requests of some handlers, and fails in insert, update.
  if (approach !== INSERT_UPDATE) await send(handler, creations, api);
  await send(handler, [message("user.updated", seen(changed, 1))], api);
  await send(handler, [message("user.deleted", aDeletedClerkUser(deleted))], api);

  const living = approach.table === "public.profiles" ? sql`and deleted_at is null` : sql``;
  return await sql`
    select first_name, email
    from ${sql(approach.table)}
    where id in ${sql([kept, changed, deleted])} ${living}
    order by id
  `;
}
