import postgres from "postgres";
import { createDatabase, withConnection } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { Benchmark, Context, Measure, Ratio, Result } from "./benchmark.ts";
import { cpuOf } from "./cpu_time.ts";
import { median } from "./statistics.ts";

/** Requests that one side makes before it is the other's turn. */
const BATCH = 20;

/** Organizations with a thousand members, who are in three others as well. */
const LARGE_TEAMS = 10;

/** Inserts the rows directly, with triggers and foreign keys off. */
function fill(people: number): string {
  const teams = people / 10;
  return `
    set session_replication_role = replica;

    insert into public.profiles (id, first_name, last_name, email, email_verified, image_url)
    select
      'user_' || n, 'Person', n, 'person.' || n || '@example.com', true,
      'https://img.example.com/' || n
    from generate_series(0, ${people - 1}) as n;

    insert into public.organizations (id, name, slug)
    select 'org_' || n, 'Team ' || n, 'team-' || n
    from generate_series(0, ${teams - 1}) as n;

    -- Each person in three organizations, each organization with thirty members.
    insert into public.organization_memberships
      (id, organization_id, user_id, role, member_name, member_image_url, created_at)
    select
      'orgmem_' || person || 'x' || stay,
      'org_' || (person + stay * ${Math.floor(teams / 3)}) % ${teams},
      'user_' || person,
      'org:member',
      'Person ' || person,
      'https://img.example.com/' || person,
      to_timestamp(1760000000 + person)
    from generate_series(0, ${people - 1}) as person, generate_series(0, 2) as stay;

    insert into public.organizations (id, name, slug)
    select 'org_large' || n, 'Large ' || n, 'large-' || n
    from generate_series(0, ${LARGE_TEAMS - 1}) as n;

    insert into public.organization_memberships
      (id, organization_id, user_id, role, member_name, member_image_url, created_at)
    select
      'orgmem_large' || person,
      'org_large' || person % ${LARGE_TEAMS},
      'user_' || person,
      'org:member',
      'Person ' || person,
      'https://img.example.com/' || person,
      to_timestamp(1760000000 + person)
    from generate_series(0, ${LARGE_TEAMS * 1000 - 1}) as person;

    reset session_replication_role;
  `;
}

interface Read {
  readonly name: string;
  /** With the id of the person or the team as its parameter. */
  readonly query: string;
  readonly rows: number;
  /** The parameter, from the person's number. */
  readonly of: (person: number, teams: number) => string;
  /** CPU of a request under policies, divided by that of the owner's. */
  readonly aim?: number;
}

const TEAM_PAGE = {
  query: `select member_name, member_image_url, role
          from public.organization_memberships
          where organization_id = $1
          order by member_name
          limit 50`,
  aim: 1.2,
};

const READS: readonly Read[] = [
  {
    name: "own profile",
    query: "select * from public.profiles where id = $1",
    rows: 1,
    of: (person) => `user_${person}`,
    aim: 1.3,
  },
  {
    ...TEAM_PAGE,
    name: "team page, all 30 members",
    rows: 30,
    of: (person, teams) => `org_${person % teams}`,
  },
  {
    ...TEAM_PAGE,
    name: "team page, 50 of 1,000 members",
    rows: 50,
    of: (person) => `org_large${person % LARGE_TEAMS}`,
  },
];

export const reads: Benchmark = {
  name: "reads",
  title: "Frontend reads under row-level security",
  question: "How much does row-level security cost a read?",
  method:
    `100,000 profiles, 10,000 organizations of 30 members, and ten of 1,000. A team page shows the
first 50 members by name. Each request is one transaction, as PostgREST makes it: set role and claims,
run one prepared statement, commit. The same statement is run for the same users as \`authenticated\`,
under the policies, and as the owner of the table, whom no policy restricts; the two take turns every
${BATCH} requests, which are sent in one go so that no client is measured. CPU is what the kernel counts
for the server's process. The figure of a run is the median batch.`,
  runs: 5,
  run,
  explain,
};

/** A connection as PostgREST, or as the owner of the tables. */
interface Side {
  readonly role: string;
  readonly sql: postgres.Sql;
  /** The server's process. */
  readonly pid: number;
}

const POLICIES = "under policies";
const OWNER = "as owner";
const DATABASE = "reads";

interface Amount {
  readonly runs: number;
  readonly batches: number;
  readonly people: number;
}

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const people = quick ? 10_000 : 100_000;
  const amount = { runs, people, batches: quick ? 5 : 100 };

  await using server = await startEphemeralPostgres();
  await createDatabase(server, DATABASE);
  await migrate(server.url(DATABASE));
  await withConnection(server.superuserUrl(DATABASE), async (sql) => {
    progress(`${people} people`);
    await sql.unsafe(fill(people)).simple();
    // Vacuum cannot run in the transaction above.
    await sql.unsafe("vacuum analyze").simple();
  });

  await using opened = new AsyncDisposableStack();
  const open = async (role: string, url: string): Promise<Side> => {
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    opened.defer(() => sql.end({ timeout: 5 }));
    const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
    return { role, sql, pid: row?.pid ?? NaN };
  };
  const browser = await open("authenticated", server.roleUrl("authenticator", DATABASE));
  const owner = await open("postgres", server.url(DATABASE));

  const ratios: Ratio[] = [];
  const measures: Measure[] = [];
  for (const read of READS) {
    progress(read.name);
    const sides = [browser, owner].map((side) => ({ read, side }));
    const [under = [], without = []] = await measure(sides, amount);
    ratios.push(...ratiosOf(read, under, without));
    measures.push(
      ...measuresOf(read.name, POLICIES, under),
      ...measuresOf(read.name, OWNER, without),
    );
  }
  progress("the functions that policies call");
  const questions = await questionsOf(browser.sql);
  const answers = await measure(questions.map((read) => ({ read, side: browser })), amount);
  measures.push(
    ...questions.flatMap(({ name }, at) => measuresOf(ASKING, name, answers[at] ?? [])),
  );
  return { ratios, measures };
}

/** What a request took: the mean of a batch, or the median of a run. */
interface Figures {
  /** CPU of the server's process, µs; NaN if the system does not report it. */
  readonly cpu: number;
  readonly milliseconds: number;
}

/** Makes each side's requests in turn, a batch each; returns each side's medians, run by run. */
async function measure(
  sides: readonly { readonly read: Read; readonly side: Side }[],
  { runs, batches, people }: Amount,
): Promise<Figures[][]> {
  const medians: Figures[][] = sides.map(() => []);
  // The first run warms up.
  for (let number = -1; number < runs; number++) {
    const each: Figures[][] = sides.map(() => []);
    for (let batch = 0; batch < batches; batch++) {
      // Members of the large teams, who are in small ones, too.
      const readers = Array.from(
        { length: BATCH },
        (_, request) => ((batch * BATCH + request) * 7919 + 13) % (1000 * LARGE_TEAMS),
      );
      for (const [at, { read, side }] of sides.entries()) {
        each[at]?.push(await request(side, read, readers, people / 10));
      }
    }
    if (number < 0) continue;
    each.forEach((figures, at) =>
      medians[at]?.push({
        cpu: median(figures.map(({ cpu }) => cpu)),
        milliseconds: median(figures.map(({ milliseconds }) => milliseconds)),
      })
    );
  }
  return medians;
}

/** Sends a request for each of these people, all in one go. */
async function request(
  { sql, role, pid }: Side,
  { name, query, rows, of }: Read,
  readers: readonly number[],
  teams: number,
): Promise<Figures> {
  const connection = await sql.reserve();
  const send = (text: string, parameters: string[] = []): Promise<postgres.Row[]> =>
    connection.unsafe(text, parameters, { prepare: true });
  const cpuBefore = cpuOf([pid]);
  const started = performance.now();

  const answers = await Promise.all(readers.flatMap((person) => {
    const claims = JSON.stringify({ sub: `user_${person}`, role: "authenticated" });
    return [
      send("begin"),
      send("select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)", [
        role,
        claims,
      ]),
      send(query, [of(person, teams)]),
      send("commit"),
    ];
  }));
  connection.release();
  const milliseconds = performance.now() - started;
  const microseconds = (cpuOf([pid]) - cpuBefore) * 1e6;
  const wrong = answers.filter((_, at) => at % 4 === 2).find(({ length }) => length !== rows);
  if (wrong !== undefined) {
    throw new Error(`Cannot measure ${name} as ${wrong.length} rows were read`);
  }
  return { cpu: microseconds / readers.length, milliseconds: milliseconds / readers.length };
}

const ASKING = "a request that only calls";
const NOTHING: Read = { name: "nothing", query: "select $1::text", rows: 1, of: () => "" };

/** The functions that the policies of the tables above call, each alone, and a request without any. */
async function questionsOf(sql: postgres.Sql): Promise<Read[]> {
  const called = await sql<{ name: string }[]>`
    select distinct refobjid::regproc::text as name
    from pg_depend
    join pg_policy on pg_policy.oid = objid
    join pg_proc on pg_proc.oid = refobjid and pronargs = pronargdefaults
    where classid = 'pg_policy'::regclass and refclassid = 'pg_proc'::regclass
      and polrelid in ('public.profiles'::regclass, 'public.organization_memberships'::regclass)
    order by 1
  `;
  return [
    NOTHING,
    ...called.map(({ name }) => ({
      ...NOTHING,
      name,
      query: `select $1::text, ${name}()`,
    })),
  ];
}

function ratiosOf(
  { name, aim }: Read,
  under: readonly Figures[],
  without: readonly Figures[],
): Ratio[] {
  const ratio = (of: string, figure: keyof Figures): Ratio => ({
    case: name,
    of: `${of} ${POLICIES}`,
    to: "the owner's",
    better: "lower",
    samples: under.map((figures, run) => figures[figure] / (without[run]?.[figure] ?? NaN)),
  });
  return [
    { ...ratio("CPU", "cpu"), ...(aim === undefined ? {} : { aim }) },
    ratio("time", "milliseconds"),
  ].filter(({ samples }) => samples.every(Number.isFinite));
}

const UNITS: Readonly<Record<keyof Figures, string>> = {
  cpu: "µs of CPU a request",
  milliseconds: "ms a request",
};

function measuresOf(circumstances: string, side: string, runs: readonly Figures[]): Measure[] {
  return (Object.keys(UNITS) as (keyof Figures)[]).map((figure) => ({
    case: circumstances,
    side,
    unit: UNITS[figure],
    samples: runs.map((figures) => figures[figure]),
  })).filter(({ samples }) => samples.every(Number.isFinite));
}

function explain({ measures }: Result): string[] {
  const cpu = (circumstances: string, side: string): number =>
    median(
      measures.find((measure) =>
        measure.case === circumstances && measure.side === side && measure.unit === UNITS.cpu
      )?.samples ?? [NaN],
    );
  const differences = READS.map(({ name }) => {
    const added = Math.round(cpu(name, POLICIES) - cpu(name, OWNER));
    return `${Math.abs(added)} µs of CPU ${added < 0 ? "less" : "more"} (${name})`;
  });
  const calls = measures.filter((measure) =>
    measure.case === ASKING && measure.unit === UNITS.cpu && measure.side !== NOTHING.name
  ).map(({ side }) =>
    `\`${side}()\` ${Math.round(cpu(ASKING, side) - cpu(ASKING, NOTHING.name))} µs`
  );

  return [
    `Under the policies, a request takes ${
      differences.join(", ")
    }. Each policy calls its functions ` +
    "once per statement, and only compares ids in each row. Alone in a statement, the functions take: " +
    `${calls.join(", ")}.`,
    "The memberships' policy asks the database rather than the token, because the token names only " +
    "the active organization, even after the user has left it, and because a membership whose " +
    "deletion is late must not be visible.",
  ];
}
