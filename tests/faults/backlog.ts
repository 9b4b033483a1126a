import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  type JsonObject,
} from "../../local/clerk/events.ts";
import type { Message } from "../../local/clerk/deliver.ts";
import { random } from "../random.ts";

const BASE = 1_760_000_000_000;
/** What everybody writes to: the first organization, and the first three people. */
const HOT = { organizations: 1, users: 3 };

interface Membership {
  readonly id: string;
  readonly user: string;
  readonly organization: string;
  readonly created_at: number;
}

/**
 * The messages of a busy instance, as Svix holds them after an outage: sign-ups, changes, teams, people
 * who join and leave, some deletions. Every fourth join is into one organization, and a few people
 * change all the time. In no order at all, so parents come after their children, too.
 *
 * @param seed the same one makes the same messages, but for what no row holds
 */
export function aBacklog(size: number, seed: number): Message[] {
  const pick = random(seed);
  const users: string[] = [];
  const organizations: string[] = [];
  const memberships: Membership[] = [];
  const messages: Message[] = [];
  let ids = 0;

  const anId = (prefix: string): string => `${prefix}_${String(++ids).padStart(27, "0")}`;
  const oneOf = <Item>(items: readonly Item[], otherwise: Item): Item =>
    items[pick(items.length)] ?? otherwise;
  const now = (): number => BASE + messages.length * 10;
  const write = (type: string, data: JsonObject): void => {
    const event = anEvent(type, data, { timestamp: now() + 5 });
    messages.push({
      id: `msg_${String(messages.length).padStart(27, "0")}`,
      body: JSON.stringify(event),
    });
  };

  const aUser = (): string => {
    if (pick(8) === 0) return users[pick(HOT.users)] ?? users[0] ?? anId("user");
    return oneOf(users, users[0] ?? anId("user"));
  };
  const anOrganization = (): string => {
    if (pick(4) === 0) return organizations[0] ?? anId("org");
    return oneOf(organizations, organizations[0] ?? anId("org"));
  };
  const changeUser = (type: string, id: string): void =>
    write(
      type,
      aClerkUser({
        id,
        first_name: `First${messages.length}`,
        public_metadata: { plan: oneOf(["free", "pro"], "free") },
        last_sign_in_at: now(),
        last_active_at: now(),
        updated_at: now(),
        created_at: BASE,
      }, messages.length),
    );
  const changeOrganization = (type: string, id: string): void =>
    write(
      type,
      aClerkOrganization({
        id,
        name: `Team ${messages.length}`,
        members_count: pick(1000),
        updated_at: now(),
        created_at: BASE,
      }),
    );
  const changeMembership = (type: string, membership: Membership, role: string): void => {
    const { user, organization, ...fixed } = membership;
    write(type, aClerkMembership({ user, organization }, { ...fixed, role, updated_at: now() }));
  };

  const steps: readonly (readonly [share: number, step: () => void])[] = [
    [27, () => {
      users.push(anId("user"));
      changeUser("user.created", users.at(-1) ?? "");
    }],
    [32, () => changeUser("user.updated", aUser())],
    [4, () => {
      organizations.push(anId("org"));
      changeOrganization("organization.created", organizations.at(-1) ?? "");
    }],
    [6, () => changeOrganization("organization.updated", anOrganization())],
    [22, () => {
      const joined = {
        id: anId("orgmem"),
        user: aUser(),
        organization: anOrganization(),
        created_at: now(),
      };
      memberships.push(joined);
      changeMembership("organizationMembership.created", joined, "org:member");
    }],
    [3, () => {
      const membership = memberships[pick(memberships.length)];
      if (membership === undefined) return;
      changeMembership("organizationMembership.updated", membership, "org:admin");
    }],
    [3, () => {
      const [left] = memberships.splice(pick(memberships.length), 1);
      if (left !== undefined) {
        changeMembership("organizationMembership.deleted", left, "org:member");
      }
    }],
    [2, () => {
      const gone = users.splice(HOT.users + pick(users.length), 1)[0];
      if (gone !== undefined) write("user.deleted", aDeletedClerkUser(gone));
    }],
    [1, () => {
      const gone = organizations.splice(HOT.organizations + pick(organizations.length), 1)[0];
      if (gone !== undefined) write("organization.deleted", aDeletedClerkOrganization(gone));
    }],
  ];
  const all = steps.reduce((sum, [share]) => sum + share, 0);

  // The hot ones are there from the beginning.
  for (const hot of [0, 0, 0, 2]) steps[hot]?.[1]();
  while (messages.length < size) {
    let roll = pick(all);
    const step = steps.find(([share]) => (roll -= share) < 0);
    step?.[1]();
  }

  return messages.slice(0, size)
    .map((message) => ({ message, at: pick(1e9) }))
    .sort((one, other) => one.at - other.at)
    .map(({ message }) => message);
}
