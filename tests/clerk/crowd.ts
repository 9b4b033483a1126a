import type { Message } from "../../local/clerk/deliver.ts";
import { planOf } from "./clerk.ts";
import { expectedRows } from "./model.ts";
import type { Plan } from "./plan.ts";
import { crowd } from "./world.ts";

/**
 * The messages of a busy instance, as Svix holds them after an outage: sign-ups, changes, teams, people
 * who join and leave, some deletions. Many are about a few people and one organization. They are shuffled,
 * so that children also come before their parents.
 *
 * @param seed the same seed makes the same messages, except for values that no row holds
 */
export function aBacklog(size: number, seed: number): Message[] {
  // Not every happening sends an event: nobody leaves twice.
  const happenings = 20 + 2 * size;
  const plan = planOf(crowd({ happenings, people: Math.ceil(size / 4) + 3, seed }));
  const messages = plan.messages.slice(0, size);
  if (messages.length < size) throw new Error(`Cannot make ${size} messages: ${messages.length}`);
  return deliveriesOf({ ...plan, messages });
}

/** People, the messages about them, and the order of delivery. */
export interface Crowd {
  readonly people: readonly Person[];
  /** Each message once, in the order of events. */
  readonly messages: readonly Message[];
  /** Each message once to three times, in the order of delivery. */
  readonly deliveries: readonly Message[];
}

/** The final state of a person. */
export interface Person {
  readonly id: string;
  readonly deleted: boolean;
  readonly firstName: string | null;
  readonly email: string | null;
}

/** Events of about this many people, who change several times; some are deleted. */
export function aCrowd(size: number, seed: number): Crowd {
  const plan = planOf(crowd({ happenings: 4 * size, people: size, seed, peopleOnly: true }));
  const { profiles } = expectedRows(plan.messages, []);
  return {
    people: Object.values(profiles).map((profile) => {
      const { id, gone, first_name, email } = profile as Record<string, unknown>;
      return {
        id: String(id),
        deleted: gone === true,
        firstName: first_name as string | null,
        email: email as string | null,
      };
    }),
    messages: plan.messages.map(({ id, event }) => ({ id, body: JSON.stringify(event) })),
    deliveries: deliveriesOf(plan),
  };
}

function deliveriesOf({ messages, inDisorder }: Plan): Message[] {
  const bodies = new Map(messages.map(({ id, event }) => [id, JSON.stringify(event)]));
  return inDisorder.flatMap((arrival) => {
    if (!("message" in arrival)) return [];
    const body = bodies.get(arrival.message);
    return body === undefined ? [] : [{ id: arrival.message, body }];
  });
}
