import type { Message } from "../local/clerk/deliver.ts";
import { readEnvironment } from "../local/env_file.ts";
import { compose, type Composition } from "../operations/compose.ts";
import { deliverAll, type Endpoint, type Sent, shuffle } from "../operations/deliver_all.ts";
import { Stored } from "../operations/stored.ts";
import { Progress } from "./progress.ts";
import { advise, FEW, printDeliveries, printOrganization, printProfile } from "./report.ts";
import { atLeastOne, flags, runCommand, taskCommand, UsageError } from "./usage.ts";

const HELP = `Signs an event as Clerk does, sends it, and shows the outcome.

  deno task send user.created
  deno task send user.updated --user user_… --set first_name=Grace
  deno task send user.deleted --user user_…
  deno task send organization.created --org org_…
  deno task send organizationMembership.created --user user_… --org org_… --role admin

  An update changes what was last stored about its object.

  Can generate events of user, organization, organizationMembership, organizationInvitation and
  subscriptionItem; for other types pass --file.

  --user ID          the user that the event is about (a new one)
  --org ID           the organization that the event is about (a new one)
  --role ROLE        the user's role in it: admin, member or one of your own (member)
  --set PATH=VALUE   sets a field of the event's data: first_name=Grace, public_metadata.plan=pro;
                     a value that is not JSON is taken as text; may be repeated
  --file FILE        sends this file instead of a generated event, byte for byte unless --set is given
  --url URL          sends to this endpoint instead of the local one
  --secret SECRET    signs with this secret (whsec_…) instead of the local one; others can read a
                     command line, so put a real secret into CLERK_WEBHOOK_SIGNING_SECRET, in the
                     environment or in the file of --env
  --count N          sends N messages: N new users, or N versions of --user, each newer (1)
  --repeat N         delivers each message N times, under the same svix-id (1)
  --shuffle          delivers in random order
  --concurrency N    delivers N at a time (1; with --count 8)
  --env FILE         reads this file (.local/env, which \`deno task dev\` writes); --env-file is an alias
`;

interface Options extends Composition {
  readonly url: string | undefined;
  readonly secret: string | undefined;
  readonly repeat: number;
  readonly shuffle: boolean;
  readonly concurrency: number;
  readonly envFile: string | undefined;
}

if (import.meta.main) await runCommand(send, HELP);

/** Runs the command; the exit code is 0 when every delivery was answered with 2xx. */
async function send(args: readonly string[]): Promise<number> {
  const options = parse(args);
  const { databaseUrl, ...target } = await findTarget(options);
  const stored = databaseUrl === undefined ? undefined : new Stored(databaseUrl);
  const { messages, user, madeUp } = await compose(options, stored);
  const attempts = messages.flatMap((message) => new Array<Message>(options.repeat).fill(message));
  const deliveries = await deliverWith(
    target,
    options.shuffle ? shuffle(attempts) : attempts,
    options,
  );

  printDeliveries(deliveries);
  await advise(deliveries, { url: target.url, secret: options.secret, stored });
  const isAnswered = deliveries.some(({ status }) => isSuccess(status));
  const [message, ...others] = messages;
  const isOne = message !== undefined && others.length === 0;
  if (stored !== undefined && isAnswered) {
    if (madeUp !== undefined) {
      console.log(`\nNo event of ${madeUp} was stored, so send made up its data.`);
    }
    if (user !== undefined) await printProfile(user, options.envFile);
    else if (isOne) await printOrganization(message.body, options.envFile);
  }
  const isGenerated = options.file === undefined && stored !== undefined;
  if (isOne && isGenerated && deliveries[0]?.outcome === "applied") {
    const next = nextAfter(options.type, message.body, options.user ?? await stored.newestUser());
    if (next !== undefined) console.log(`\nNext:\n  ${taskCommand(next, options.envFile)}`);
  }
  return deliveries.every(({ status }) => isSuccess(status)) ? 0 : 1;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * A command that goes on with what was just applied.
 *
 * @param someone a user who can join an organization
 */
function nextAfter(type: string, body: string, someone: string | undefined): string | undefined {
  const { data } = JSON.parse(body);
  switch (type) {
    case "user.created":
      return `send user.updated --user ${data.id} --set first_name=Grace`;
    case "user.updated":
      return `send user.deleted --user ${data.id}`;
    case "user.deleted":
      return `explain ${data.id}`;
    case "organization.created": {
      const member = someone === undefined ? "" : ` --user ${someone}`;
      return `send organizationMembership.created${member} --org ${data.id} --role admin`;
    }
    case "organizationMembership.created": {
      const { organization, public_user_data: member } = data;
      return `send organizationMembership.deleted --user ${member.user_id} --org ${organization.id}`;
    }
    default:
      return undefined;
  }
}

function parse(args: readonly string[]): Options {
  const { values, positionals: [type, ...rest] } = flags(args, {
    user: { type: "string" },
    org: { type: "string" },
    role: { type: "string" },
    set: { type: "string", multiple: true, default: [] },
    file: { type: "string" },
    url: { type: "string" },
    secret: { type: "string" },
    count: { type: "string", default: "1" },
    repeat: { type: "string", default: "1" },
    shuffle: { type: "boolean", default: false },
    concurrency: { type: "string" },
    env: { type: "string" },
  }, { allowPositionals: true });

  if (rest.length > 0) {
    throw new UsageError(`Cannot send ${[type, ...rest].join(", ")}: give one event type`);
  }
  if (type === undefined && values.file === undefined) {
    throw new UsageError("Cannot send without an event type: try `deno task send user.created`");
  }
  for (const [flag, id] of [["user", values.user], ["org", values.org]] as const) {
    if (id !== undefined && !new RegExp(`^${flag}_[A-Za-z0-9]+$`).test(id)) {
      throw new UsageError(
        `Cannot use --${flag} ${id}: Clerk's ids are ${flag}_ and letters or digits`,
      );
    }
  }

  const count = atLeastOne("count", values.count);
  return {
    type: type ?? "",
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
    envFile: values.env,
  };
}

interface Target extends Endpoint {
  /** Of the local stack; undefined for any other. */
  readonly databaseUrl: string | undefined;
}

async function findTarget({ url, secret, envFile }: Options): Promise<Target> {
  if (url !== undefined) {
    if (secret !== undefined) return { url, secret, databaseUrl: undefined };
    const names = ["CLERK_WEBHOOK_SIGNING_SECRET"] as const;
    const environment = await readEnvironment({ envFile, names });
    return { url, secret: environment.CLERK_WEBHOOK_SIGNING_SECRET, databaseUrl: undefined };
  }
  const environment = await readEnvironment({ envFile });
  return {
    url: environment.CLERK_WEBHOOK_URL,
    secret: secret ?? environment.CLERK_WEBHOOK_SIGNING_SECRET,
    databaseUrl: environment.DATABASE_URL,
  };
}

async function deliverWith(
  target: Endpoint,
  attempts: readonly Message[],
  { concurrency }: Options,
): Promise<Sent[]> {
  const progress = new Progress("delivered", attempts.length);
  const sent: Sent[] = [];
  const take = (each: Sent): void => {
    sent.push(each);
    if (attempts.length > FEW) progress.step();
  };

  try {
    await deliverAll(target, attempts, { concurrency, take });
  } catch {
    throw new UsageError(
      "Cannot sign with this secret: it must be whsec_ and base64, as on the endpoint's page in Clerk's dashboard",
    );
  } finally {
    progress.end();
  }
  return sent;
}
