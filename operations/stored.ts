import postgres from "postgres";
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../functions/_shared/clerk_sync/json.ts";
import { withConnection } from "../local/postgres/databases.ts";
import { reasonOf, StartError } from "../local/start_error.ts";
import { parseExactly } from "./exact_json.ts";

/** What became of a message, as the inbox knows it. */
export interface StoredMessage {
  readonly objectId: string | null;
  /** The Clerk instance that sent it. */
  readonly instance: string | null;
  /** The only instance that the database accepts, if it is set. */
  readonly ownInstance: string | null;
  readonly isDeleted: boolean;
  readonly sqlstate?: string | undefined;
  readonly message?: string | undefined;
  readonly issues?: readonly { readonly path: string; readonly code: string }[] | undefined;
}

const Why = z.object({
  sqlstate: z.string().optional(),
  message: z.string().optional(),
  issues: z.array(z.object({ path: z.string(), code: z.string() })).optional(),
});

/** What the database of a local stack holds, for `send`. It reads as the owner of the tables. */
export class Stored {
  readonly #url: string;

  constructor(databaseUrl: string) {
    this.#url = databaseUrl;
  }

  /** What an event needs so that the database accepts it: its own instance, if it has one. */
  async envelope(): Promise<JsonObject> {
    const [row] = await this.#ask((sql) =>
      sql<{ instance_id: string }[]>`
        select instance_id from clerk_sync.settings where instance_id is not null
      `
    );
    return { ...row };
  }

  /** The `data` of the newest event that was applied to an object; undefined when there is none. */
  async dataOf(id: string): Promise<JsonObject | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ data: string }[]>`
        select (payload -> 'data')::text as data
        from clerk_sync.objects
        join clerk_sync.inbox using (message_id)
        where id = ${id} and object_id = ${id} and payload ? 'data'
      `
    );
    const data = row === undefined ? undefined : parseExactly(row.data);
    return isJsonObject(data) ? data : undefined;
  }

  /** The newest membership of a user in an organization. */
  async membershipOf(user: string, organization: string): Promise<string | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ id: string }[]>`
        select id from public.organization_memberships
        where user_id = ${user} and organization_id = ${organization}
        order by created_at desc nulls last, id desc
        limit 1
      `
    );
    return row?.id;
  }

  /** The newest invitation to an organization that is pending. */
  async invitationTo(organization: string): Promise<string | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ id: string }[]>`
        select id from public.organization_invitations
        where organization_id = ${organization} and status = 'pending'
        order by created_at desc nulls last, id desc
        limit 1
      `
    );
    return row?.id;
  }

  /** The newest subscription item of a user or an organization. */
  async itemOf(payer: string): Promise<string | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ id: string }[]>`
        select id from public.subscription_items
        where ${payer} in (user_id, organization_id)
        order by created_at desc nulls last, id desc
        limit 1
      `
    );
    return row?.id;
  }

  /** The newest user who is not deleted. */
  async newestUser(): Promise<string | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ id: string }[]>`
        select id from public.profiles
        where deleted_at is null
        order by created_at desc nulls last, id desc
        limit 1
      `
    );
    return row?.id;
  }

  /** The newest organization that is not deleted. */
  async newestOrganization(): Promise<string | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<{ id: string }[]>`
        select id from public.organizations
        where deleted_at is null
        order by created_at desc nulls last, id desc
        limit 1
      `
    );
    return row?.id;
  }

  /** Whether the register says that an object is deleted. */
  async isDeleted(id: string): Promise<boolean> {
    const [row] = await this.#ask((sql) =>
      sql<{ is_deleted: boolean }[]>`select clerk_sync.is_deleted(${id})`
    );
    return row?.is_deleted === true;
  }

  async message(id: string): Promise<StoredMessage | undefined> {
    const [row] = await this.#ask((sql) =>
      sql<(Omit<StoredMessage, "isDeleted"> & { isDeleted: boolean | null; error: unknown })[]>`
        select
          object_id as "objectId",
          inbox.instance_id as instance,
          settings.instance_id as "ownInstance",
          clerk_sync.is_deleted(object_id) as "isDeleted",
          error
        from clerk_sync.inbox
        cross join clerk_sync.settings
        where message_id = ${id}
      `
    );
    if (row === undefined) return undefined;
    const { error, isDeleted, ...known } = row;
    return { ...known, ...Why.safeParse(error).data, isDeleted: isDeleted === true };
  }

  /** Without a database there is no row; `send` then says that nobody answers. */
  async #ask<Row>(question: (sql: postgres.Sql) => Promise<Row[]>): Promise<Row[]> {
    try {
      return await withConnection(this.#url, question);
    } catch (error) {
      if (isRefused(error)) return [];
      throw new StartError(
        `Cannot look up what is stored as the database answers: ${reasonOf(error)}`,
      );
    }
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}
