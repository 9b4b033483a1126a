import { createClient } from "@supabase/supabase-js";
import { parseArgs } from "node:util";
import type { Json } from "../functions/clerk-webhook/json.ts";
import type { Database } from "../supabase/database.types.ts";
import { readEnvironment } from "../local/env_file.ts";
import { sessionToken } from "../local/clerk/session_token.ts";
import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkSubscriptionItem,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  anId,
  type JsonObject,
} from "../local/clerk/events.ts";
import { deliver, type Delivery, type Message } from "../local/clerk/deliver.ts";
import { bar, Progress } from "./progress.ts";
import { atLeastOne, complain, UsageError, withoutDashes } from "./usage.ts";

const HELP = `Signs an event as Clerk does, sends it, and shows what became of it.

  deno task send user.created
  deno task send user.updated --user user_… --set first_name=Grace
  deno task send user.deleted --user user_…
  deno task send organization.created --org org_…
  deno task send organizationMembership.created --user user_… --org org_… --role admin

  Made up are all events of user, organization, organizationMembership, organizationInvitation and
  subscriptionItem; others take --file.

  --user ID          whom it is about; somebody new unless given
  --org ID           which organization it is about; a new one unless given
  --role ROLE        the role in it: admin, member or one of your own (member)
  --set PATH=VALUE   sets a field of the event's data: first_name=Grace, public_metadata.plan=pro;
                     the value is JSON where it can be, else text; may be repeated
  --file FILE        sends this body instead of a made-up one, byte for byte unless --set changes it
  --url URL          another endpoint than the local one
  --secret SECRET    another signing secret (whsec_…) than the local one
  --count N          that many messages: as many new users, or newer and newer versions of --user
  --repeat N         each message that many times, under the same svix-id
  --shuffle          in a random order
  --concurrency N    that many at once (1; with --count 8)
  --env-file FILE    where \`deno task dev\` wrote how to reach it (.local/env)
`;

interface Options {
  readonly type: string | undefined;
  readonly user: string | undefined;
  readonly org: string | undefined;
  readonly role: string;
  readonly set: readonly string[];
  readonly file: string | undefined;
  readonly url: string | undefined;
  readonly secret: string | undefined;
  readonly count: number;
  readonly repeat: number;
  readonly shuffle: boolean;
  readonly concurrency: number;
  readonly envFile: string | undefined;
}

const TYPES = [
  "user.created",
  "user.updated",
  "user.deleted",
  "organization.created",
  "organization.updated",
  "organization.deleted",
  "organizationMembership.created",
  "organizationMembership.updated",
  "organizationMembership.deleted",
  "organizationInvitation.created",
  "organizationInvitation.accepted",
  "organizationInvitation.revoked",
  "subscriptionItem.active",
  "subscriptionItem.canceled",
  "subscriptionItem.ended",
  "subscriptionItem.pastDue",
  "subscriptionItem.updated",
];
/** Up to so many deliveries are listed one by one. */
const FEW = 5;

if (import.meta.main) await complain(() => send(Deno.args));

/** Runs the command; the exit code is 0 when every delivery was answered with 2xx. */
async function send(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (options === "help") {
    console.log(HELP);
    return 0;
  }

  const target = await findTarget(options);
  const { messages, user } = await compose(options);
  const attempts = messages.flatMap((message) => new Array<Message>(options.repeat).fill(message));
  const deliveries = await deliverAll(
    target,
    options.shuffle ? shuffle(attempts) : attempts,
    options,
  );

  if (deliveries.length <= FEW) list(deliveries);
  else summarize(deliveries);
  if (user !== undefined && options.url === undefined) {
    await showProfile(user, options.envFile);
    if (options.user === undefined && options.file === undefined) {
      console.log(`\nNext: send user.updated --user ${user} --set first_name=Grace`);
    }
  }

  return deliveries.every(({ status }) => status >= 200 && status < 300) ? 0 : 1;
}

function parse(args: readonly string[]): Options | "help" {
  let parsed;
  try {
    parsed = parseArgs({
      args: withoutDashes(args),
      allowPositionals: true,
      options: {
        user: { type: "string" },
        org: { type: "string" },
        role: { type: "string", default: "member" },
        set: { type: "string", multiple: true, default: [] },
        file: { type: "string" },
        url: { type: "string" },
        secret: { type: "string" },
        count: { type: "string", default: "1" },
        repeat: { type: "string", default: "1" },
        shuffle: { type: "boolean", default: false },
        concurrency: { type: "string" },
        "env-file": { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}. See --help`);
  }

  const { values, positionals: [type, ...rest] } = parsed;
  if (values.help) return "help";
  if (rest.length > 0) {
    throw new UsageError(`Cannot send ${rest.join(" ")} besides ${type}: see --help`);
  }
  if (type === undefined && values.file === undefined) {
    throw new UsageError(
      "Cannot send as no event type is given: try `deno task send user.created`",
    );
  }
  if (values.file === undefined && type !== undefined && !TYPES.includes(type)) {
    throw new UsageError(
      `Cannot make up an event of type ${type}: made up are ${
        TYPES.join(", ")
      }; others take --file`,
    );
  }
  for (const [flag, id, prefix] of [["user", values.user, "user"], ["org", values.org, "org"]]) {
    if (id !== undefined && !new RegExp(`^${prefix}_[A-Za-z0-9]+$`).test(id)) {
      throw new UsageError(
        `Cannot use --${flag} ${id} as it is no Clerk id: ${prefix}_ and letters or digits`,
      );
    }
  }

  const count = atLeastOne("count", values.count);
  return {
    type,
    user: values.user,
    org: values.org,
    role: values.role,
    set: values.set,
    file: values.file,
    url: values.url,
    secret: values.secret,
    count,
    repeat: atLeastOne("repeat", values.repeat),
    shuffle: values.shuffle,
    concurrency: atLeastOne("concurrency", values.concurrency ?? (count > 1 ? "8" : "1")),
    envFile: values["env-file"],
  };
}

interface Target {
  readonly url: string;
  readonly secret: string;
}

async function findTarget({ url, secret, envFile }: Options): Promise<Target> {
  if (url !== undefined && secret !== undefined) return { url, secret };

  const environment = await readEnvironment(envFile === undefined ? {} : { envFile });
  return {
    url: url ?? environment.CLERK_WEBHOOK_URL,
    secret: secret ?? environment.CLERK_WEBHOOK_SIGNING_SECRET,
  };
}

/** The messages, and the one user that they are about, if it is one. */
async function compose(options: Options): Promise<{ messages: Message[]; user?: string }> {
  if (options.file !== undefined) {
    const body = await fileBody(options.file, options.set);
    const user = userIn(body);
    return {
      messages: Array.from({ length: options.count }, () => ({ id: anId("msg"), body })),
      ...(user === undefined ? {} : { user }),
    };
  }

  const type = options.type ?? "user.created";
  const messages: Message[] = [];
  let user: string | undefined;
  for (let number = 0; number < options.count; number++) {
    user = options.user ?? anId("user");
    const data = await dataOf(type, user, options, number);
    for (const assignment of options.set) assign(data, assignment);
    messages.push({ id: anId("msg"), body: JSON.stringify(anEvent(type, data)) });
  }

  const isOne = options.user !== undefined || (options.count === 1 && isAboutPeople(type));
  return { messages, ...(isOne && user !== undefined ? { user } : {}) };
}

function isAboutPeople(type: string): boolean {
  return type.startsWith("user.") || type.startsWith("organizationMembership.");
}

/** The data of one made-up event. */
async function dataOf(
  type: string,
  user: string,
  options: Options,
  number: number,
): Promise<JsonObject> {
  const organization = options.org ?? anId("org");
  // One version after the other, a millisecond apart, so that the newest is known.
  const version = options.count > 1 ? { updated_at: Date.now() + number } : {};
  const [object, verb = ""] = type.split(".");

  switch (object) {
    case "organization":
      return verb === "deleted"
        ? aDeletedClerkOrganization(organization)
        : aClerkOrganization({ id: organization, ...version });
    case "organizationMembership":
      return aClerkMembership({ user, organization }, {
        id: await membershipId(user, organization),
        role: `org:${options.role.replace(/^org:/, "")}`,
        role_name: options.role,
        ...version,
      });
    case "organizationInvitation":
      return aClerkInvitation(organization, {
        role: `org:${options.role.replace(/^org:/, "")}`,
        status: verb === "created" ? "pending" : verb,
        ...(verb === "accepted" ? { user_id: user } : {}),
        ...version,
      });
    case "subscriptionItem":
      return aClerkSubscriptionItem(options.org === undefined ? { user } : { organization }, {
        status: { pastDue: "past_due", updated: "active" }[verb] ?? verb,
        ...version,
      });
    default:
      return verb === "deleted"
        ? aDeletedClerkUser(user)
        : aClerkUser({ id: user, ...version }, number);
  }
}

/** The same id for the same person in the same organization, so that it can be updated and deleted. */
async function membershipId(user: string, organization: string): Promise<string> {
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(`${user} ${organization}`),
  );
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
  return `orgmem_${hex.join("").slice(0, 27)}`;
}

async function fileBody(file: string, set: readonly string[]): Promise<string> {
  const body = await Deno.readTextFile(file).catch((error) => {
    throw new UsageError(`Cannot read --file ${file} as ${error.message}`);
  });
  if (set.length === 0) return body;

  const event = asObject(parseJson(body));
  const data = asObject(event?.data);
  if (event === undefined || data === undefined) {
    throw new UsageError(`Cannot use --set as ${file} holds no JSON object with data`);
  }
  for (const assignment of set) assign(data, assignment);
  return JSON.stringify(event);
}

function userIn(body: string): string | undefined {
  const id = asObject(asObject(parseJson(body))?.data)?.id;
  return typeof id === "string" && id.startsWith("user_") ? id : undefined;
}

/** Sets one field of an object: `first_name=Grace`, `public_metadata.plan="pro"`. */
function assign(data: JsonObject, assignment: string): void {
  const [, path = "", text = ""] = /^([^=]+)=([^]*)$/.exec(assignment) ?? [];
  if (path === "") {
    throw new UsageError(`Cannot use --set ${assignment} as it is not of the form path=value`);
  }

  const names = path.split(".");
  const last = names.pop() ?? "";
  let place = data;
  for (const name of names) {
    const inner = asObject(place[name]) ?? {};
    place[name] = inner;
    place = inner;
  }
  place[last] = parseJson(text) ?? (text === "null" ? null : text);
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}

function shuffle(messages: readonly Message[]): Message[] {
  return messages
    .map((message) => ({ message, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ message }) => message);
}

interface Sent extends Delivery {
  readonly id: string;
}

async function deliverAll(
  { url, secret }: Target,
  attempts: readonly Message[],
  { concurrency }: Options,
): Promise<Sent[]> {
  const progress = new Progress("delivered", attempts.length);
  const sent: Sent[] = [];
  const queue = attempts.values();
  const sender = async (): Promise<void> => {
    for (const message of queue) {
      sent.push({ id: message.id, ...await deliver(url, secret, message) });
      if (attempts.length > FEW) progress.step();
    }
  };

  try {
    await Promise.all(Array.from({ length: concurrency }, sender));
  } catch {
    throw new UsageError(
      "Cannot sign as the signing secret is malformed: it is whsec_ and base64, from the endpoint's page in the Clerk dashboard",
    );
  } finally {
    progress.end();
  }
  return sent;
}

function list(deliveries: readonly Sent[]): void {
  for (const { id, outcome, status, milliseconds } of deliveries) {
    console.log(
      `${outcome.padEnd(10)} ${status}  ${milliseconds.toFixed(0).padStart(4)} ms  ${id}`,
    );
  }
  if (deliveries.some(({ status }) => status === 0)) {
    console.log("Nobody answered: is `deno task dev` running?");
  }
}

function summarize(deliveries: readonly Sent[]): void {
  const counts = new Map<string, number>();
  for (const { outcome } of deliveries) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);

  for (const [outcome, count] of [...counts].sort(([, one], [, other]) => other - one)) {
    console.log(
      `${outcome.padEnd(14)} ${String(count).padStart(7)}  ${bar(count / deliveries.length)}`,
    );
  }

  const times = deliveries.map(({ milliseconds }) => milliseconds).sort((one, other) =>
    one - other
  );
  const percentile = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  console.log(
    `${deliveries.length} deliveries: p50 ${percentile(0.5)} ms, p95 ${percentile(0.95)} ms`,
  );
}

/** Shows the rows as the person reads them: publishable key, session token, row-level security. */
async function showProfile(user: string, envFile: string | undefined): Promise<void> {
  const environment = await readEnvironment(envFile === undefined ? {} : { envFile });
  const token = await sessionToken({ sub: user }, envFile);
  const supabase = createClient<Database>(
    environment.SUPABASE_URL,
    environment.SUPABASE_PUBLISHABLE_KEY,
    { accessToken: () => Promise.resolve(token) },
  );

  const profile = await supabase.from("profiles").select().eq("id", user).maybeSingle();
  const teams = await supabase
    .from("organization_memberships")
    .select("role, member_name, user_id, organization:organizations(id, name)")
    .order("created_at");

  console.log();
  if (profile.error !== null) {
    console.log(`${user} cannot read their profile: ${profile.error.message}`);
  } else if (profile.data === null) {
    console.log(`${user} reads no profile: there is none, or it was deleted.`);
  } else {
    console.log("The profile, as they read it:");
    for (const [column, value] of Object.entries(profile.data)) {
      const text = typeof value === "object" && value !== null ? JSON.stringify(value) : value;
      console.log(`  ${column.padEnd(18)} ${text ?? "–"}`);
    }
  }

  if (teams.data !== null && teams.data.length > 0) {
    console.log("\nTheir teams, as they read them:");
    for (const { organization, role, member_name, user_id } of teams.data) {
      const team = organization.name ?? organization.id;
      console.log(`  ${team.padEnd(34)} ${(role ?? "–").padEnd(12)} ${member_name ?? user_id}`);
    }
  }
}
