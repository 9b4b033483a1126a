import { assertEquals } from "@std/assert";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkPermission,
  aClerkRole,
  aClerkSubscriptionItem,
  aClerkUser,
  anEvent,
  anId,
  type JsonObject,
  type Payer,
} from "../../local/clerk/events.ts";
import type { TestStack } from "../test_stack.ts";

/**
 * A report from practice, to be played. In every text of the steps, `{{user:ada}}` is an id made up for
 * the case, `{{t+5}}` a time in ms after its beginning, and `{{s+5}}` one in seconds.
 */
export interface Case {
  /** What is right, as a sentence. */
  readonly name: string;
  /** Where it was reported. */
  readonly source: string;
  readonly steps: readonly Step[];
}

type Step = Delivery | RawDelivery | Question;

/** Signed and posted to the webhook. The object is completed by a builder. */
interface Delivery {
  readonly deliver: string;
  /** What the webhook answers; `applied` if not given. */
  readonly outcome?: string;
  readonly user?: JsonObject;
  readonly organization?: JsonObject;
  readonly membership?: JsonObject & { of: string; in: string };
  readonly invitation?: JsonObject & { to: string };
  readonly item?: JsonObject & { payer: Payer };
  readonly role?: JsonObject & { key: string; permissions: Record<string, string> };
  /** The object as it is. */
  readonly data?: JsonObject;
}

/** The same with the whole body as it is. */
interface RawDelivery {
  readonly deliver_raw: string;
  readonly outcome?: string;
}

/** SQL as the owner of everything or, with the claims of a session token, as `authenticated`. */
interface Question {
  readonly sql: string;
  readonly as?: JsonObject;
  readonly expect: JsonObject[];
}

/** Plays the steps, one after the other, and checks each. */
export async function play(text: string, stack: TestStack): Promise<void> {
  const begin = Date.now();
  const { steps } = JSON.parse(withValues(text, begin)) as Case;

  for (const [number, step] of steps.entries()) {
    if ("sql" in step) {
      assertEquals(await ask(stack, step), step.expect, step.sql);
      continue;
    }
    const at = begin + number;
    const body = "deliver_raw" in step
      ? step.deliver_raw
      : anEvent(step.deliver, objectOf(step, at), { timestamp: at });
    const { outcome } = await stack.send(body);
    assertEquals(outcome, step.outcome ?? "applied", `step ${number + 1}`);
  }
}

function withValues(text: string, begin: number): string {
  const ids = new Map<string, string>();
  return text
    .replace(/"\{\{t\+(\d+)\}\}"/g, (_, ms) => String(begin + Number(ms)))
    .replace(/"\{\{s\+(\d+)\}\}"/g, (_, s) => String(Math.floor(begin / 1000) + Number(s)))
    .replace(/\{\{([a-z_]+):\w+\}\}/g, (name, prefix) => {
      const id = ids.get(name) ?? anId(prefix);
      ids.set(name, id);
      return id;
    });
}

function objectOf(step: Delivery, at: number): JsonObject {
  const times = { created_at: at, updated_at: at };
  const { user, organization, membership, invitation, item, role, data } = step;
  if (user !== undefined) return aClerkUser({ ...times, ...user });
  if (organization !== undefined) return aClerkOrganization({ ...times, ...organization });
  if (membership !== undefined) {
    const { of, in: within, ...fields } = membership;
    return aClerkMembership({ user: of, organization: within }, { ...times, ...fields });
  }
  if (invitation !== undefined) {
    const { to, ...fields } = invitation;
    return aClerkInvitation(to, { ...times, ...fields });
  }
  if (item !== undefined) {
    const { payer, ...fields } = item;
    return aClerkSubscriptionItem(payer, { ...times, ...fields });
  }
  if (role !== undefined) {
    const { key, permissions, ...fields } = role;
    const all = Object.entries(permissions).map(([key, id]) => aClerkPermission(key, { id }));
    return aClerkRole(key, all, { ...times, ...fields });
  }
  return data ?? {};
}

async function ask({ database }: TestStack, { sql, as }: Question): Promise<unknown[]> {
  const rows = as === undefined
    ? await database.sql.unsafe(sql)
    : await database.connect(1).begin(async (transaction) => {
      const claims = JSON.stringify({ role: "authenticated", ...as });
      await transaction`select set_config('request.jwt.claims', ${claims}, true)`;
      await transaction`set local role authenticated`;
      return await transaction.unsafe(sql);
    });
  return rows.map((row) => ({ ...row }));
}
