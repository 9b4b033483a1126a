import postgres from "postgres";
import type { JsonObject } from "../../local/clerk/events.ts";
import type { Answer, TestDatabase } from "../test_database.ts";
import { readEvent } from "../../functions/clerk-webhook/event.ts";
import {
  type Arrival,
  claimsOf,
  type Fate,
  jsonOf,
  marksOf,
  type Message,
  type Page,
  type Plan,
  type Visit,
} from "../clerk/plan.ts";
import { ASKED_AT } from "../clerk/model.ts";
import { PERMISSION_KEYS } from "../clerk/world.ts";
import { assertAllCompared, ROWS } from "../clerk/rows.ts";

/** An application beside the sync: it records every change, and its triggers interfere. */
const OBSERVER = `
  create schema observed;
  grant usage on schema observed to public;

  create table observed.changes (
    number bigint generated always as identity,
    kind text not null,
    id text not null,
    old jsonb,
    new jsonb,
    via text default current_setting('clerk_sync.via', true)
  );

  create function observed.note() returns trigger
  language plpgsql security definer set search_path = '' as $$
  begin
    insert into observed.changes (kind, id, old, new)
    values (tg_argv[0], coalesce(new.id, old.id), to_jsonb(old), to_jsonb(new));
    return null;
  end $$;

  create function observed.interfere() returns trigger
  language plpgsql set search_path = '' as $$
  begin
    case current_setting('observed.fate', true)
      -- The text quotes a person whom the event is about. It must not quote anybody else: see
      -- docs/architecture.md, "What is deliberately missing".
      when 'refused' then
        raise exception 'refused: %', case tg_table_name when 'profiles' then to_jsonb(new) end;
      when 'slow' then perform pg_sleep(0.004);
      else null;
    end case;
    return coalesce(new, old);
  end $$;

  -- Pauses between two locks, and between an apply (also a failed one) and the inbox. If a lock is
  -- missing, a deletion gets in between.
  create function observed.dawdle() returns trigger
  language plpgsql set search_path = '' as $$
  begin
    if current_setting('observed.fate', true) in ('slow', 'refused') then
      perform pg_sleep(0.004);
    end if;
    return new;
  end $$;

  create trigger _050_dawdle before insert on clerk_sync.objects
    for each row execute function observed.dawdle();
  create trigger _050_dawdle before insert on clerk_sync.inbox
    for each row execute function observed.dawdle();

  create trigger _950_note after insert or update or delete on public.profiles
    for each row execute function observed.note('profile');
  create trigger _950_note after insert or update or delete on public.organizations
    for each row execute function observed.note('organization');
  create trigger _950_note after insert or update or delete on public.organization_memberships
    for each row execute function observed.note('membership');

  create trigger _050_interfere before insert or update or delete on public.profiles
    for each row execute function observed.interfere();
  create trigger _050_interfere before insert or update or delete on public.organizations
    for each row execute function observed.interfere();
  create trigger _050_interfere before insert or update or delete on public.organization_memberships
    for each row execute function observed.interfere();
  create trigger _050_interfere before insert or update or delete on public.organization_invitations
    for each row execute function observed.interfere();
  create trigger _050_interfere before insert or update or delete on public.organization_roles
    for each row execute function observed.interfere();
  create trigger _050_interfere before insert or update or delete on public.subscription_items
    for each row execute function observed.interfere();

  -- What a person may do, as policies and the toolkit answer.
  create function observed.rights(claims jsonb) returns jsonb
  language plpgsql set search_path = '' as $$
  declare
    rights jsonb;
  begin
    perform
      set_config('request.jwt.claims', claims::text, true),
      set_config('role', 'authenticated', true);
    select jsonb_build_object(
      'organizations', array(
        select id from unnest(clerk.my_organization_ids()) as id order by id collate "C"),
      'permissions', array(
        select id || ' ' || key
        from unnest('{${PERMISSION_KEYS}}'::text[]) as key,
          unnest(clerk.my_organization_ids(null, key)) as id
        order by (id || ' ' || key) collate "C"),
      'active', array(
        select key
        from unnest('{${PERMISSION_KEYS}}'::text[]) as key
        where clerk.has_org_permission(key)
        order by key collate "C"),
      'invitations', array(
        select id from public.organization_invitations order by id collate "C"))
    into rights;
    perform set_config('role', 'none', true);
    return rights;
  end $$;
`;

/** A change of a row, as a trigger saw it. */
export interface Change {
  readonly kind: "profile" | "organization" | "membership";
  readonly id: string;
  readonly old: JsonObject | null;
  readonly new: JsonObject | null;
  readonly via: string | null;
}

/** A message in the queue clerk_changes. */
export interface Announcement {
  readonly topic: string;
  readonly id: string;
  readonly changed: readonly string[];
  readonly caused_by: string | null;
  readonly via: string | null;
  /** When the transaction began. */
  readonly at: string;
}

/** One row of the inbox. */
export interface Kept {
  readonly deliveries: number;
  readonly outcome: string;
  readonly has_payload: boolean;
}

/** The state of the database after a run. */
export interface Sight {
  /** The rows as the text that the database makes of them. */
  readonly rows: string;
  /** What each person may do, by user and active organization. */
  readonly rights: Readonly<Record<string, JsonObject>>;
  readonly changes: readonly Change[];
  readonly announcements: readonly Announcement[];
  readonly inbox: Readonly<Record<string, Kept>>;
}

/** The result of a run. */
export interface Run {
  /** How many attempts of each message were answered. */
  readonly answered: ReadonlyMap<string, number>;
  /** The messages that were never answered with 2xx. */
  readonly undone: readonly string[];
  /** Where a person's mark was found right after that person's deletion. */
  readonly leftovers: readonly string[];
  /** Attempts that ended in a deadlock or a serialization failure. */
  readonly collisions: number;
  readonly attempts: number;
}

const TRIES = 3;
const DONE: ReadonlySet<string> = new Set(["applied", "stale", "duplicate", "ignored"]);
const COLLISIONS: readonly unknown[] = ["40001", "40P01"];

/** A database that plays one world after another. */
export class Stage {
  readonly #webhook: postgres.Sql;
  readonly #worker: postgres.Sql;
  readonly #browser: postgres.Sql;
  readonly #admin: postgres.Sql;
  readonly #search: string;
  readonly #reset: string;

  private constructor(
    pools: Readonly<Record<"webhook" | "worker" | "browser" | "admin", postgres.Sql>>,
    statements: { search: string; reset: string },
  ) {
    this.#webhook = pools.webhook;
    this.#worker = pools.worker;
    this.#browser = pools.browser;
    this.#admin = pools.admin;
    this.#search = statements.search;
    this.#reset = statements.reset;
  }

  /** Runs something on a stage in this database. */
  static async with(database: TestDatabase, use: (stage: Stage) => Promise<void>): Promise<void> {
    const { server, name, admin } = database;
    await assertAllCompared(admin);
    await admin.unsafe(OBSERVER);
    // A deadlock is detected at once, not after a second.
    await admin`alter database ${admin(name)} set deadlock_timeout = '20ms'`;
    const statements = { search: await searchOf(admin), reset: await resetOf(admin) };
    const connectAs = (role: string): postgres.Sql =>
      postgres(server.roleUrl("authenticator", name), {
        max: 8,
        onnotice: () => {},
        connection: { role },
      });
    const [webhook, worker] = [connectAs("clerk_ingest"), connectAs("clerk_worker")];
    try {
      const pools = { webhook, worker, browser: database.connect(8), admin };
      await use(new Stage(pools, statements));
    } finally {
      await Promise.all([webhook.end({ timeout: 5 }), worker.end({ timeout: 5 })]);
    }
  }

  /** Forgets the previous world. */
  async reset(): Promise<void> {
    await this.#admin.unsafe(this.#reset).simple();
  }

  /** Delivers over several connections at once, then repeats what was not answered with 2xx. */
  async deliver(
    plan: Pick<Plan, "messages" | "pages">,
    arrivals: readonly Arrival[],
    connections: number,
  ): Promise<Run> {
    const messages = new Map(plan.messages.map((message) => [message.id, message]));
    const pages = new Map(plan.pages.map((page) => [page.id, page]));
    const run = {
      answered: new Map<string, number>(),
      leftovers: [] as string[],
      collisions: 0,
      attempts: 0,
    };
    await this.#introduce(messages.values());
    const undone = new Set<string>();
    const done = new Set<string>();
    const untaken = new Set<string>();

    const arrive = async (arrival: Arrival): Promise<void> => {
      run.attempts++;
      if ("opens" in arrival) {
        run.collisions += await this.#open(arrival);
        return;
      }
      if ("page" in arrival) {
        const page = pages.get(arrival.page);
        if (page === undefined) throw new Error(`Cannot take ${arrival.page}: no such page`);
        const { isTaken, collisions } = await this.#take(page, arrival.fate);
        run.collisions += collisions;
        if (isTaken) untaken.delete(page.id);
        else untaken.add(page.id);
        return;
      }
      const message = messages.get(arrival.message);
      if (message === undefined) {
        throw new Error(`Cannot deliver ${arrival.message}: no such message`);
      }
      const { answer, collisions } = await this.#attempt(message, arrival.fate);
      run.collisions += collisions;
      undone.add(message.id);
      if (answer === undefined) return;
      run.answered.set(message.id, (run.answered.get(message.id) ?? 0) + 1);
      if (!DONE.has(answer.outcome)) return;
      done.add(message.id);
      const { type, data } = message.event;
      if (type === "user.deleted") {
        const id = String((data as JsonObject).id);
        run.leftovers.push(...await this.search(marksOf(id)));
      }
    };

    let next = 0;
    const lane = async (): Promise<void> => {
      for (let arrival = arrivals[next++]; arrival !== undefined; arrival = arrivals[next++]) {
        await arrive(arrival);
      }
    };
    await settled(Array.from({ length: connections }, lane));

    // Read and refused, so read again later.
    for (const page of untaken) await arrive({ page, fate: "kept" });

    // As Svix does, as long as it helps: one message can make another one readable.
    for (let before = -1; before !== done.size;) {
      before = done.size;
      for (const message of messages.keys()) {
        if (undone.has(message) && !done.has(message)) await arrive({ message, fate: "kept" });
      }
    }
    return { ...run, undone: [...undone].filter((id) => !done.has(id)) };
  }

  /**
   * Makes the register know the users whom unreadable bodies mention. Nothing locks a user of whom it
   * knows nothing: see docs/proof.md, "Convergence".
   */
  async #introduce(messages: Iterable<Message>): Promise<void> {
    const ids = [...messages].flatMap(({ event }) =>
      typeof event.raw === "string" ? event.raw.match(/user_[A-Za-z0-9]{27}/g) ?? [] : []
    );
    if (ids.length === 0) return;
    await this.#admin`
      insert into clerk_sync.objects (id) select distinct unnest(${ids}::text[])
    `;
  }

  /** Reconciles as a run does: everything that Clerk lists, then the deletion of what it does not. */
  async reconcile(listing: readonly Page[]): Promise<void> {
    const worker = this.#worker;
    const [begun] = await worker<{ run: { id: number; fence: number } }[]>`
      select public.begin_clerk_run('reconcile', '{}') -> 'run' as run
    `;
    if (begun === undefined) throw new Error("The database gave no answer");
    const { id, fence } = begun.run;
    for (const page of listing.filter(({ objects }) => objects.length > 0)) {
      await snapshot(worker, page, "kept");
      const ids = page.objects.map((object) => String(object.id));
      await worker`select public.note_clerk_seen(${id}, ${fence}, ${ids})`;
    }
    for (const kind of ["user", "organization", "membership"]) {
      await worker`
        select public.delete_clerk_surplus(${id}, ${fence}, ${kind}, array(
          select surplus ->> 'id'
          from jsonb_array_elements(public.list_clerk_surplus(${id}, ${kind}) -> 'objects') as surplus))
      `;
    }
    await worker`select public.save_clerk_run(${id}, ${fence}, '{}', is_finished => true)`;
  }

  /** Reads the state in one query. */
  async look(): Promise<Sight> {
    const [sight] = await this.#admin.unsafe<Sight[]>(SIGHT, [], { prepare: true });
    if (sight === undefined) throw new Error("The database gave no answer");
    return sight;
  }

  /** Searches all tables of all schemas for these strings, and names the tables that hold them. */
  async search(marks: readonly string[]): Promise<string[]> {
    const found = await this.#admin.unsafe<{ place: string }[]>(this.#search, [[...marks]], {
      prepare: true,
    });
    return found.map(({ place }) => place);
  }

  async #attempt(
    { id, event }: Message,
    fate: Fate,
  ): Promise<{ answer: Answer | undefined; collisions: number }> {
    for (let collisions = 0;;) {
      try {
        const answer = fate === "cut"
          ? await this.#cut(id, event)
          : await ingest(this.#webhook, id, event, fate);
        return { answer, collisions };
      } catch (error) {
        if (!isCollision(error)) throw error;
        collisions++;
        if (collisions === TRIES) return { answer: undefined, collisions };
      }
    }
  }

  /** Does all the work, but loses the connection before the commit. */
  async #cut(id: string, event: JsonObject): Promise<undefined> {
    const cut = new Error("cut");
    try {
      await this.#webhook.begin(async (transaction) => {
        await ingest(transaction, id, event, "cut");
        throw cut;
      });
    } catch (error) {
      if (error !== cut) throw error;
    }
  }

  /** Takes a page as the worker does: all of it or nothing. */
  async #take(page: Page, fate: Fate): Promise<{ isTaken: boolean; collisions: number }> {
    const cut = new Error("cut");
    for (let collisions = 0;;) {
      try {
        await this.#worker.begin(async (transaction) => {
          await snapshot(transaction, page, fate);
          if (fate === "cut") throw cut;
        });
        return { isTaken: true, collisions };
      } catch (error) {
        if (error === cut || (fate === "refused" && codeOf(error) === "P0001")) {
          return { isTaken: false, collisions };
        }
        if (!isCollision(error)) throw error;
        collisions++;
        if (collisions === TRIES) return { isTaken: false, collisions };
      }
    }
  }

  /** Calls `ensure_profile()` as a signed-in browser; returns how often it collided. */
  async #open(visit: Visit): Promise<number> {
    for (let collisions = 0;; collisions++) {
      try {
        await this.#browser.begin(async (transaction) => {
          const claims = JSON.stringify(claimsOf(visit));
          await transaction`
            select
              set_config('role', 'authenticated', true),
              set_config('request.jwt.claims', ${claims}, true)
          `;
          await transaction`select from public.ensure_profile()`;
        });
        return collisions;
      } catch (error) {
        if (!isCollision(error)) throw error;
      }
    }
  }
}

/** One event, as the function reads it, in one statement, which is a transaction of its own. */
async function ingest(
  sql: postgres.Sql | postgres.TransactionSql,
  id: string,
  event: JsonObject,
  fate: Fate,
): Promise<Answer> {
  const reading = readEvent(typeof event.raw === "string" ? event.raw : jsonOf(event));
  const dropped = reading.kind === "readable" ? [...reading.dropped] : [];
  const [row] = reading.kind === "unreadable"
    ? await sql<{ answer: Answer }[]>`
      select public.record_clerk_rejection(
        ${id}, ${reading.type}, ${JSON.stringify(reading.issues)}::text::jsonb,
        ${JSON.stringify(reading.payload)}::text::jsonb) as answer
    `
    : await sql<{ answer: Answer }[]>`
      with fate as materialized (select set_config('observed.fate', ${fate}, true))
      select public.ingest_clerk_event(
        ${id}, to_jsonb(${reading.event}::text), ${dropped}, ${reading.asType}) as answer
      from fate
    `;
  if (row === undefined) throw new Error("The database gave no answer");
  return row.answer;
}

async function snapshot(
  sql: postgres.Sql | postgres.TransactionSql,
  { kind, observedAt, objects }: Page,
  fate: Fate,
): Promise<void> {
  await sql`
    with fate as materialized (select set_config('observed.fate', ${fate}, true))
    select public.ingest_clerk_snapshot(${kind}, ${observedAt}, to_jsonb(${jsonOf(objects)}::text))
    from fate
  `;
}

/** Waits for all, then throws the first error. */
async function settled(all: readonly Promise<void>[]): Promise<void> {
  for (const each of await Promise.allSettled(all)) {
    if (each.status === "rejected") throw each.reason;
  }
}

function isCollision(error: unknown): boolean {
  return COLLISIONS.includes(codeOf(error));
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : null;
}

/** Empties all tables that a world can write to. For few rows, delete is faster than truncate. */
async function resetOf(admin: postgres.Sql): Promise<string> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname in ('public', 'observed')
      or (schemaname = 'clerk_sync' and tablename <> 'settings')
      or (schemaname = 'pgmq' and tablename ~ '^[qa]_')
  `;
  const deletions = tables.map(({ name }) => `delete from ${name};`);
  // Without triggers and foreign keys, so in any order.
  return ["begin; set local session_replication_role = replica;", ...deletions, "commit"].join(
    "\n",
  );
}

const SIGHT = `
  select
    ${ROWS}::text as rows,
    (
      select coalesce(
        jsonb_object_agg(
          profiles.id || ' ' || organizations.id,
          observed.rights(jsonb_build_object(
            'sub', profiles.id, 'role', 'authenticated', 'v', 2, 'iat', ${ASKED_AT},
            'o', jsonb_build_object('id', organizations.id, 'rol', 'admin')))),
        '{}')
      from public.profiles, public.organizations
    ) as rights,
    (
      select coalesce(jsonb_agg(to_jsonb(change) order by number), '[]')
      from observed.changes as change
    ) as changes,
    (
      select coalesce(
        jsonb_agg(message || jsonb_build_object('at', enqueued_at) order by msg_id), '[]')
      from pgmq.q_clerk_changes
    ) as announcements,
    (
      select coalesce(
        jsonb_object_agg(
          message_id,
          jsonb_build_object(
            'deliveries', deliveries, 'outcome', outcome, 'has_payload', payload is not null)),
        '{}')
      from clerk_sync.inbox
    ) as inbox
`;

/** One query over all tables of all schemas, except the test's own. */
async function searchOf(admin: postgres.Sql): Promise<string> {
  const tables = await admin<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name
    from pg_catalog.pg_tables
    where schemaname not in ('pg_catalog', 'information_schema', 'observed')
  `;
  // Each row becomes text only once, for any number of marks.
  const searches = tables.map(({ name }) => `
    select '${name}' as place, mark
    from ${name} as row
      cross join lateral (select row::text as text offset 0) as whole,
      unnest($1::text[]) as mark
    where strpos(whole.text, mark) > 0`);
  return `
    select distinct place || ' holds ' || mark as place
    from (${searches.join(" union all ")}) as found
    order by place
  `;
}
