import { assert, assertEquals } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent, anId } from "../../local/clerk/events.ts";
import { signedHeadersFor } from "../../local/clerk/deliver.ts";
import { type Outcome, STATUS } from "../../functions/clerk-webhook/handler.ts";
import { EMAIL_CODE, SMS_CODE } from "../fixtures/every_event.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { digestAllRows } from "./all_rows.ts";
import {
  type HostileConnection,
  quickConnections,
  slowConnections,
} from "./hostile_connections.ts";
import { aMessageId, aValidEvent, mutated } from "./hostile_json.ts";
import { speak } from "./raw_client.ts";
import { type Pick, roundsOr, seeded, shuffled } from "../random.ts";
import {
  aGzipBomb,
  anUnauthenticRequest,
  type UnauthenticRequest,
  UNSIGNED,
} from "./unauthentic.ts";

// The function in a process of its own receives anything that can be sent to it, unsigned and signed, while
// it keeps serving valid deliveries.

/**
 * The outcomes that a signed event can have, however wrong it is. Not `failed`: only a trigger or a
 * constraint of the application raises, and there is none here.
 */
const OF_AUTHENTIC: readonly Outcome[] = ["applied", "stale", "duplicate", "ignored", "unreadable"];

/** What hosted Supabase gives a function, kB. Unauthentic requests use less than a third of that. */
const MEMORY = 256 * 1024;
/** After this long Svix counts a delivery as failed, ms. */
const PATIENCE_OF_SVIX = 15_000;
/** Requests under way at the same time. */
const AT_ONCE = 8;

/** What must not happen but did; a test ends with none. */
type Findings = string[];

interface Answer {
  readonly status: number;
  readonly outcome: string;
  readonly text: string;
  readonly milliseconds: number;
}

async function request(
  url: string,
  { method, path, headers, body }: Sendable,
): Promise<Answer> {
  const started = performance.now();
  const response = await fetch(`${url}${path}`, { method, headers, body });
  const text = await response.text();
  const milliseconds = performance.now() - started;
  return { status: response.status, outcome: outcomeIn(text), text, milliseconds };
}

type Sendable = Omit<UnauthenticRequest, "what" | "outcome">;

/** The outcome of a body that holds nothing else but a message id. */
function outcomeIn(text: string): string {
  return /^\{"outcome":"(\w+)"(?:,"message_id":"(?:[^"\\]|\\.)*")?\}$/.exec(text)?.[1] ??
    `no outcome: ${text.slice(0, 200)}`;
}

function isStatusOf(outcome: string, status: number): boolean {
  return new Map<string, number>(Object.entries(STATUS)).get(outcome) === status;
}

/** Runs all jobs, a few at a time. */
async function atOnce(jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...jobs];
  const work = async (): Promise<void> => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) await job();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** The URL of the function's own process, without the gateway. */
function functionUrl({ services }: TestStack): string {
  return services.edgeFunction()?.url ?? "";
}

/** Sends an unauthentic request, which must get its outcome and nothing else. Made when its turn comes. */
function stranger(
  url: string,
  make: () => UnauthenticRequest | Promise<UnauthenticRequest>,
  findings: Findings,
): () => Promise<void> {
  return async () => {
    const wrong = await make();
    const { status, text } = await request(url, wrong);
    if (status !== STATUS[wrong.outcome] || text !== `{"outcome":"${wrong.outcome}"}`) {
      findings.push(`${wrong.what} ${wrong.method}: ${status} ${text.slice(0, 200)}`);
    }
  };
}

function connecting(
  url: string,
  { what, send, expected, answers }: HostileConnection,
  findings: Findings,
): () => Promise<void> {
  return async () => {
    const answer = await speak(url, send, answers).catch(String);
    if (typeof answer === "string") {
      findings.push(`${what}: ${answer}`);
      return;
    }
    const { status, outcome, text } = answer;
    const isExpected = outcome === null
      ? (expected as readonly unknown[]).includes(status) && !text.includes("{")
      : (expected as readonly unknown[]).includes(outcome) && isStatusOf(outcome, status);
    if (!isExpected) findings.push(`${what}: ${status} ${text.slice(0, 300)}`);
  };
}

/** Log lines that are not an object of known keys, or that hold personal data. */
function leakingLines(log: readonly string[]): string[] {
  const known = [
    "outcome",
    "status",
    "message_id",
    "type",
    "issues",
    "dropped",
    "sqlstate",
    "code",
    "ms",
  ];
  const needles = [UNSIGNED, "Nadia", "Ferreira", "Tomas", "Eklund", "@", EMAIL_CODE, SMS_CODE];
  return log.filter((line) => {
    try {
      return Object.keys(JSON.parse(line)).some((key) => !known.includes(key)) ||
        needles.some((needle) => line.includes(needle));
    } catch {
      return true;
    }
  });
}

/** The current or the greatest memory use of the function's process, kB. Linux only. */
async function memory({ services }: TestStack, what: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${services.edgeFunction()?.pid}/status`);
  const found = new RegExp(`^${what}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  if (found === undefined) throw new Error(`Cannot read ${what} of the function's process`);
  return Number(found);
}

stackTest(
  "an unauthentic request leaves no row and learns nothing but its outcome",
  async (stack) => {
    const pick = seeded();
    const rounds = roundsOr(250);
    const url = functionUrl(stack);
    const { signingSecret } = stack.services;
    const body = JSON.stringify(anEvent("user.created", aClerkUser({ first_name: UNSIGNED })));
    const signed = signedHeadersFor({ id: "msg_cut", body }, signingSecret);
    const before = await digestAllRows(stack.database.admin);
    const atRest = await memory(stack, "VmRSS");
    const findings: Findings = [];

    await atOnce(shuffled(pick, [
      ...Array.from(
        { length: rounds },
        () => stranger(url, () => anUnauthenticRequest(pick, signingSecret), findings),
      ),
      ...quickConnections(signed, body).map((hostile) => connecting(url, hostile, findings)),
      stranger(url, () => aGzipBomb(signingSecret), findings),
    ]));

    assertEquals(findings, []);
    assertEquals(await digestAllRows(stack.database.admin), before);
    assertEquals(leakingLines(stack.log), []);
    const growth = await memory(stack, "VmHWM") - atRest;
    console.log(JSON.stringify({ growth_kb: growth }));
    assert(growth < MEMORY, `${growth} kB`);
    // The control: the same body, complete and signed, becomes a row.
    assertEquals((await stack.send(body)).outcome, "applied");
  },
);

/** A person whose deliveries are all valid, with the name in the last one. */
interface Resident {
  readonly id: string;
  readonly name: string;
}

stackTest(
  "valid deliveries are served whatever else arrives, signed or unsigned",
  async (stack) => {
    const pick = seeded();
    const rounds = roundsOr(400);
    const { signingSecret, webhookUrl } = stack.services;
    const url = functionUrl(stack);
    const pid = stack.services.edgeFunction()?.pid;
    const findings: Findings = [];
    const latencies: number[] = [];
    const told = new Map<string, string[]>();
    const refused: [string, string][] = [];

    /**
     * Sends a signed message: it is kept with its outcome, or it is sent again below, because a busy database
     * may refuse it, or have no time to apply it.
     */
    const signed = (id: string, body: string): () => Promise<void> => async () => {
      const headers = signedHeadersFor({ id, body }, signingSecret);
      const answer = await request(webhookUrl, { method: "POST", path: "", headers, body });
      const { status, outcome } = answer;
      if (!isStatusOf(outcome, status)) findings.push(`${status} ${answer.text}`);

      if (OF_AUTHENTIC.some((word) => word === outcome)) {
        told.set(id, [...told.get(id) ?? [], outcome]);
      } else if (outcome === "unavailable" || outcome === "failed") {
        refused.push([id, body]);
      } else if (outcome !== "too_large" || body.length <= 1024 * 1024) {
        findings.push(`${outcome} ← ${id} ${body.slice(0, 2_000)}`);
      }
    };

    const residents = Array.from({ length: 25 }, (_, number): Resident => ({
      id: anId("user"),
      name: `Resident ${number}`,
    }));
    const valid = ({ id, name }: Resident): () => Promise<void> => async () => {
      const at = Date.now();
      for (
        const [type, first_name, updated_at] of [
          ["user.created", "Newcomer", at],
          ["user.updated", name, at + 1],
        ] as const
      ) {
        const body = JSON.stringify(anEvent(type, aClerkUser({ id, first_name, updated_at })));
        const headers = signedHeadersFor({ id: anId("msg"), body }, signingSecret);
        const answer = await request(webhookUrl, { method: "POST", path: "", headers, body });
        if (answer.outcome !== "applied") findings.push(`valid: ${answer.status} ${answer.text}`);
        latencies.push(answer.milliseconds);
      }
    };

    const lateBody = JSON.stringify(anEvent("user.created", aClerkUser({ id: "user_dribbled" })));
    const lateHeaders = signedHeadersFor({ id: "msg_dribbled", body: lateBody }, signingSecret);
    const slow = slowConnections(lateHeaders, lateBody);

    await Promise.all([
      // Apart from the others, which would have to wait for them.
      ...slow.map((hostile) => connecting(url, hostile, findings)()),
      atOnce(shuffled(pick, [
        ...Array.from(
          { length: rounds },
          (_, number) => signed(aMessageId(pick), mutated(aValidEvent(pick, number), pick)),
        ),
        ...Array.from(
          { length: rounds / 4 },
          () => stranger(url, () => anUnauthenticRequest(pick, signingSecret), findings),
        ),
        ...residents.map(valid),
        // Ids that almost equal a resident's.
        ...residents.flatMap(({ id }) =>
          [id.slice(0, -1), `${id}0`].map((almost) =>
            signed(anId("msg"), JSON.stringify(anEvent("user.deleted", aDeletedClerkUser(almost))))
          )
        ),
        async () => {
          // One after the other: a megabyte in the worst shape takes up to 100 MB when parsed.
          for (const body of hugeBodies(pick)) await signed(anId("msg"), body)();
        },
      ])),
    ]);
    for (const [id, body] of refused.splice(0)) await signed(id, body)();

    console.log(JSON.stringify({
      signed: told.size,
      slowest_ms: Math.round(Math.max(...latencies)),
      median_ms: Math.round(latencies.sort((one, other) => one - other)[latencies.length / 2] ?? 0),
    }));
    assertEquals(findings, []);
    assertEquals(refused, []);
    assertEquals(await notKept(stack, told), []);
    assertEquals(await stack.database.rowsWith(UNSIGNED), 0);
    assertEquals(leakingLines(stack.log), []);
    assertEquals(
      await rowsOf(stack, residents),
      residents.map(({ id, name }) => ({ id, first_name: name, kept: 2 })),
    );
    assert(Math.max(...latencies) < PATIENCE_OF_SVIX, `${Math.max(...latencies)} ms`);
    assertEquals(stack.services.edgeFunction()?.pid, pid);
  },
);

/** Bodies of about the greatest size that is read, in the most expensive shapes. */
function hugeBodies(pick: Pick): string[] {
  const times = (text: string, bytes: number): string =>
    text.repeat(Math.floor(bytes / text.length));
  const inside = (metadata: string): string =>
    `{"type":"user.updated","timestamp":1760000000000,"data":{"id":"user_${pick(1e9)}",` +
    `"updated_at":1760000000000,"unsafe_metadata":{"all":[${metadata}0]}}}`;
  return [
    inside(times("1e308,", 300_000)),
    inside(times("{},", 1_000_000)),
    inside(times('"user_a",', 100_000)),
    inside(times('"\\u0000",', 1_000_000)),
    inside(times(`${"[".repeat(4_000)}${"]".repeat(4_000)},`, 1_000_000)),
    inside(times("1e9999,", 1_000_000)),
    inside(Array.from({ length: 2_000 }, (_, at) => `"user_${at}${pick(1e9)}",`).join("")),
    times("[", 1_000_000),
    times("\\", 1_000_000),
    times(" ", 1024 * 1024),
    times("0", 1024 * 1024 + 1),
  ];
}

/** Answered messages that the inbox does not hold with one of their answered outcomes. */
async function notKept(
  { database }: TestStack,
  told: ReadonlyMap<string, readonly string[]>,
): Promise<string[]> {
  const rows = await database.sql<{ message_id: string; outcome: string }[]>`
    select message_id, outcome from clerk_sync.inbox
  `;
  const kept = new Map(rows.map(({ message_id, outcome }) => [message_id, outcome]));
  return [...told]
    .filter(([id, outcomes]) => !outcomes.includes(kept.get(id) ?? ""))
    .map(([id, outcomes]) => `${id}: told ${outcomes}, kept ${kept.get(id)}`);
}

/** The residents' rows, and how many of their messages are kept with their payload. */
async function rowsOf({ database }: TestStack, residents: readonly Resident[]): Promise<unknown[]> {
  const rows = await database.sql`
    select
      id,
      first_name,
      (
        select count(*)::int from clerk_sync.inbox
        where object_id = profiles.id and payload is not null
      ) as kept
    from public.profiles
    where id = any (${residents.map(({ id }) => id)})
  `;
  const byId = new Map(rows.map((row) => [row.id, { ...row }]));
  return residents.map(({ id }) => byId.get(id));
}
