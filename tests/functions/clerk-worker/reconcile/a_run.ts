import { connect } from "../../../../functions/_shared/clerk_sync/supabase.ts";
import {
  createClerkApi,
  readInstanceId,
} from "../../../../functions/clerk-worker/reconcile/clerk_api.ts";
import {
  carryOn,
  type Deps,
  type News,
  type RunKind,
} from "../../../../functions/clerk-worker/reconcile/engine.ts";
import {
  createSnapshots,
  type Options,
  type Run,
  type Snapshots,
} from "../../../../functions/clerk-worker/reconcile/snapshots.ts";
import type { State } from "../../../../functions/clerk-worker/reconcile/state.ts";
import { type Services, startServices } from "../../../../local/services.ts";
import {
  anInstance,
  type ClerkApiServer,
  type ClerkInstance,
  type ClerkObject,
  serveClerkApi,
  type Size,
} from "../../../clerk_api/clerk_api.ts";
import { deleteUser, rename } from "../../../clerk_api/changes.ts";
import { anId, type JsonObject } from "../../../../local/clerk/events.ts";
import type { Pick } from "../../../random.ts";
import { type TestDatabase, withTestDatabase } from "../../../test_database.ts";
import { testKeys } from "../../../test_keys.ts";

/** A database behind an API, and a stand-in of Clerk's. */
export interface RunTest {
  readonly database: TestDatabase;
  readonly services: Services;
  readonly clerk: ClerkApiServer;
  readonly instance: ClerkInstance;
  readonly snapshots: Snapshots;
  /** Begins a run, or goes on with it, and carries it on. */
  run(kind: RunKind, options?: RunOptions): Promise<RunResult>;
}

export interface RunOptions extends Partial<Options>, Partial<Omit<Deps, "api">> {
  readonly restart?: boolean;
  /** How long Clerk's API may fail, ms. */
  readonly patience?: number;
}

export interface RunResult {
  readonly state: State;
  readonly isFinished: boolean;
  /** What it reported, without progress. */
  readonly news: Exclude<News, { type: "progress" }>[];
}

/** A test of runs between an instance of some size and an empty database. */
export function runTest(name: string, size: Size, test: (run: RunTest) => Promise<void>): void {
  Deno.test({
    name,
    fn: () => withTestDatabase((database) => withRuns(database, anInstance(size), test)),
    // The server may be started within the first test, and outlives it.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}

/** Runs something with an API in front of a database, and a stand-in of Clerk's. */
export async function withRuns(
  database: TestDatabase,
  instance: ClerkInstance,
  test: (run: RunTest) => Promise<void>,
): Promise<void> {
  await using services = await startServices({
    postgres: database.server,
    database: database.name,
    keys: await testKeys(),
    functions: false,
  });
  await using clerk = serveClerkApi(instance);
  const snapshots = createSnapshots(connect(services.apiUrl, services.keys.clerkWorker));
  await test({
    database,
    services,
    clerk,
    instance,
    snapshots,
    run: (kind, options) => run(clerk, snapshots, kind, options),
  });
}

async function run(
  clerk: ClerkApiServer,
  real: Snapshots,
  kind: RunKind,
  {
    dry_run = false,
    quiet = false,
    max_deletes,
    restart = false,
    patience = 10_000,
    stop = new AbortController().signal,
    snapshots = real,
    report = () => {},
    ...others
  }: RunOptions = {},
): Promise<RunResult> {
  const api = createClerkApi({
    secretKey: clerk.secretKey,
    apiUrl: clerk.url,
    pause: 5,
    patience,
    stop,
  });
  const instanceId = await readInstanceId(api);
  const options = { dry_run, quiet, ...(max_deletes === undefined ? {} : { max_deletes }) };
  const begun = await snapshots.begin(kind, options, instanceId, restart);
  if (!("run" in begun)) throw new Error(JSON.stringify(begun));

  const news: RunResult["news"] = [];
  const result = await carryOn(kind, begun.run, instanceId, {
    api,
    snapshots,
    stop,
    report: (each) => {
      if (each.type !== "progress") news.push(each);
      report(each);
    },
    pause: 5,
    ...others,
  });
  return { ...result, news };
}

/** What Clerk's API does to a run that {@link disturb} disturbs. */
export const DISTURBANCES = ["422", "429", "cut", "error", "slow"];

/**
 * Makes the weather bad, and changes a user before every answer, or at times deletes the one that is the
 * cursor. Each change comes as an event, too.
 */
export function disturb({ database, clerk, instance }: RunTest, pick: Pick): void {
  clerk.weather = { pick, errors: 0.1, cut: 0.1, slow: 0.2, limited: 0.05 };
  clerk.onRequest = async ({ searchParams }) => {
    const cursor = instance.user.find(({ id }) => id === searchParams.get("starting_after"));
    const event = cursor !== undefined && pick(5) === 0
      ? deleteUser(instance, cursor)
      : rename(instance, pick, Date.now());
    if (event !== undefined) await database.ingest(anId("msg"), structuredClone(event));
  };
}

/** A run of which begin() said that it may go on. */
export type { Run };

/** What the database holds of an instance, and what it should hold. */
export async function heldAndExpected(
  { sql }: TestDatabase,
  instance: ClerkInstance,
): Promise<[unknown, unknown]> {
  const held = {
    user: await sql`
      select id, first_name, last_name, email, public_metadata, updated_at
      from public.profiles where deleted_at is null order by id collate "C"
    `,
    organization: await sql`
      select id, name, slug, members_count, updated_at
      from public.organizations where deleted_at is null order by id collate "C"
    `,
    membership: await sql`
      select id, organization_id, user_id, role, updated_at
      from public.organization_memberships order by id collate "C"
    `,
    invitation: await sql`
      select id, organization_id, status, updated_at
      from public.organization_invitations order by id collate "C"
    `,
  };
  const plain: unknown = JSON.parse(JSON.stringify(held));
  const expected = {
    user: rowsOf(instance.user, (user) => ({
      id: user.id,
      first_name: user.first_name,
      last_name: user.last_name,
      email: emailOf(user),
      public_metadata: user.public_metadata,
      updated_at: timeOf(user),
    })),
    organization: rowsOf(instance.organization, (organization) => ({
      id: organization.id,
      name: organization.name,
      slug: organization.slug,
      members_count: organization.members_count,
      updated_at: timeOf(organization),
    })),
    membership: rowsOf(instance.membership, (membership) => ({
      id: membership.id,
      organization_id: (membership.organization as JsonObject).id,
      user_id: (membership.public_user_data as JsonObject).user_id,
      role: membership.role,
      updated_at: timeOf(membership),
    })),
    invitation: rowsOf(instance.invitation, (invitation) => ({
      id: invitation.id,
      organization_id: invitation.organization_id,
      status: invitation.status,
      updated_at: timeOf(invitation),
    })),
  };
  return [plain, expected];
}

function rowsOf<Row>(
  objects: readonly ClerkObject[],
  row: (object: ClerkObject) => Row,
): Row[] {
  return objects.toSorted((one, other) => one.id < other.id ? -1 : 1).map(row);
}

function emailOf(user: ClerkObject): unknown {
  const addresses = user.email_addresses as JsonObject[];
  return addresses.find(({ id }) => id === user.primary_email_address_id)?.email_address;
}

function timeOf({ updated_at }: ClerkObject): string {
  return new Date(Number(updated_at)).toISOString();
}
