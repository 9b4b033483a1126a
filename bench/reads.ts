import postgres from "postgres";
import { createDatabase, withConnection } from "../local/postgres/databases.ts";
import { startEphemeralPostgres } from "../local/postgres/ephemeral.ts";
import { migrate } from "../local/postgres/migrate.ts";
import type { Benchmark, Context, Measure, Result } from "./benchmark.ts";
import { median } from "./statistics.ts";

const AIM = 1.3;

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
}

const READS: readonly Read[] = [
  {
    name: "own profile",
    query: "select * from public.profiles where id = $1",
    rows: 1,
    of: (person) => `user_${person}`,
  },
  {
    name: "team page",
    query: `select member_name, member_image_url, role
            from public.organization_memberships
            where organization_id = $1
            order by member_name
            limit 50`,
    rows: 30,
    of: (person, teams) => `org_${person % teams}`,
  },
];

/** The functions that policies call once per statement, each alone, and a statement without any. */
const QUESTIONS: readonly Read[] = [
  { name: "nothing", query: "select $1::text", rows: 1 },
  { name: "clerk.user_id()", query: "select clerk.user_id(), $1::text", rows: 1 },
  {
    name: "clerk.my_organization_ids()",
    query: "select clerk.my_organization_ids(), $1::text",
    rows: 3,
  },
  {
    name: "clerk.my_superseded_membership_ids()",
    query: "select clerk.my_superseded_membership_ids(), $1::text",
    rows: 0,
  },
].map((question) => ({ ...question, of: () => "" }));

export const reads: Benchmark = {
  name: "reads",
  title: "Frontend reads under row-level security",
  question: "How much does row-level security cost a read?",
  method:
    `100,000 profiles, 10,000 organizations, 300,000 memberships. Each request is one transaction,
as PostgREST makes it: set role and claims, run one prepared statement, commit. The same statement is
run for the same user as \`authenticated\`, under the policies, and as the owner of the table, whom no
policy restricts; the two alternate request by request. The figure of a run is the median request, as
the client sees it. The aim applies to both: a frontend waits for the transaction, but the statement
alone is the stricter test.`,
  runs: 5,
  run,
  explain,
};

/** How long the statement and the whole transaction took, ms. */
interface Times {
  readonly statement: number[];
  readonly transaction: number[];
}

/** One connection each, as PostgREST and as the owner of the tables. */
interface Sessions {
  readonly browser: postgres.Sql;
  readonly owner: postgres.Sql;
}

const DATABASE = "reads";

async function run({ runs, quick, progress }: Context): Promise<Result> {
  const people = quick ? 10_000 : 100_000;
  const requests = quick ? 100 : 2000;
  const results: Result[] = [];

  await using server = await startEphemeralPostgres();
  await createDatabase(server, DATABASE);
  await migrate(server.url(DATABASE));
  await withConnection(server.superuserUrl(DATABASE), async (sql) => {
    progress(`${people} people`);
    await sql.unsafe(fill(people)).simple();
    // Vacuum cannot run in the transaction above.
    await sql.unsafe("vacuum analyze").simple();
  });

  const open = (url: string): postgres.Sql => postgres(url, { max: 1, onnotice: () => {} });
  const sessions = {
    browser: open(server.roleUrl("authenticator", DATABASE)),
    owner: open(server.url(DATABASE)),
  };
  try {
    for (const read of READS) {
      progress(read.name);
      results.push(await measure(sessions, read, { runs, requests, people }));
    }
    progress("the functions that policies call");
    const measures = await askEach(sessions.browser, { runs, requests, people });
    results.push({ ratios: [], measures });
  } finally {
    await Promise.all(Object.values(sessions).map((session) => session.end({ timeout: 5 })));
  }
  return {
    ratios: results.flatMap(({ ratios }) => ratios),
    measures: results.flatMap(({ measures }) => measures),
  };
}

/** The time of each function that policies call, as a statement. */
async function askEach(
  browser: postgres.Sql,
  { runs, requests, people }: { runs: number; requests: number; people: number },
): Promise<Measure[]> {
  const samples: number[][] = QUESTIONS.map(() => []);
  // The first run warms up.
  for (let number = -1; number < runs; number++) {
    const times: number[][] = QUESTIONS.map(() => []);
    for (let request = 0; request < requests; request++) {
      const person = (request * 7919 + 13) % people;
      for (const [at, question] of QUESTIONS.entries()) {
        const [statement] = await once(browser, "authenticated", question, person, people / 10);
        times[at]?.push(statement);
      }
    }
    if (number >= 0) times.forEach((each, at) => samples[at]?.push(median(each)));
  }
  return QUESTIONS.map(({ name }, at) => ({
    case: "a statement that asks",
    side: name,
    unit: "ms",
    samples: samples[at] ?? [],
  }));
}

async function measure(
  { browser, owner }: Sessions,
  read: Read,
  { runs, requests, people }: { runs: number; requests: number; people: number },
): Promise<Result> {
  const sides: { readonly sql: postgres.Sql; readonly role: string }[] = [
    { sql: browser, role: "authenticated" },
    { sql: owner, role: "postgres" },
  ];
  const medians = { statement: [[], []] as number[][], transaction: [[], []] as number[][] };

  // The first run warms up.
  for (let number = -1; number < runs; number++) {
    const times: Times[] = sides.map(() => ({ statement: [], transaction: [] }));
    for (let request = 0; request < requests; request++) {
      const person = (request * 7919 + 13) % people;
      for (const [side, { sql, role }] of sides.entries()) {
        const [statement, transaction] = await once(sql, role, read, person, people / 10);
        times[side]?.statement.push(statement);
        times[side]?.transaction.push(transaction);
      }
    }
    if (number < 0) continue;
    times.forEach(({ statement, transaction }, side) => {
      medians.statement[side]?.push(median(statement));
      medians.transaction[side]?.push(median(transaction));
    });
  }

  const ratio = ([under = [], owner = []]: number[][]): number[] =>
    under.map((time, run) => time / (owner[run] ?? NaN));
  return {
    ratios: [
      {
        case: read.name,
        of: "the statement under policies",
        to: "as owner",
        samples: ratio(medians.statement),
        aim: { atMost: AIM },
      },
      {
        case: read.name,
        of: "the transaction under policies",
        to: "as owner",
        samples: ratio(medians.transaction),
        aim: { atMost: AIM },
      },
    ],
    measures: (["statement", "transaction"] as const).flatMap((what) =>
      sides.map(({ role }, side) => ({
        case: `${read.name}, ${what}`,
        side: role,
        unit: "ms",
        samples: medians[what][side] ?? [],
      }))
    ),
  };
}

/** Makes one request; returns the times of its statement and of the whole, ms. */
async function once(
  sql: postgres.Sql,
  role: string,
  { query, rows, of }: Read,
  person: number,
  teams: number,
): Promise<[number, number]> {
  const claims = JSON.stringify({ sub: `user_${person}`, role: "authenticated" });
  const started = performance.now();

  const statement = await sql.begin(async (transaction) => {
    await transaction`
      select
        set_config('role', ${role}, true),
        set_config('request.jwt.claims', ${claims}, true)
    `;
    const before = performance.now();
    const found = await transaction.unsafe(query, [of(person, teams)], { prepare: true });
    const milliseconds = performance.now() - before;
    if (found.length !== rows) {
      throw new Error(`Cannot measure as ${found.length} rows were read`);
    }
    return milliseconds;
  });
  return [statement, performance.now() - started];
}

function explain({ measures }: Result): string[] {
  const microseconds = (circumstances: string, role: string): number =>
    1000 * median(
      measures.find((measure) => measure.case === circumstances && measure.side === role)
        ?.samples ?? [NaN],
    );
  const added = ({ name }: Read): string => {
    const statement = `${name}, statement`;
    return `${name} ${
      Math.round(microseconds(statement, "authenticated") - microseconds(statement, "postgres"))
    } µs`;
  };

  const asks = (question: string): number =>
    Math.round(
      microseconds("a statement that asks", question) -
        microseconds("a statement that asks", "nothing"),
    );

  return [
    `The policies add to the statement: ${READS.map(added).join(", ")}. The cost is fixed: ` +
    "each policy calls its functions once per statement, not once per row. Every policy asks for the " +
    "user (`clerk.user_id()`), and the one on memberships also for the user's organizations and the " +
    "superseded memberships in them. A statement that reads more rows pays no more.",
    `The team page pays for two such calls: ${
      asks("clerk.my_organization_ids()")
    } µs for the user's organizations, ${
      asks("clerk.my_superseded_membership_ids()")
    } µs for the superseded memberships, which are in a table of their own, nearly always empty. ` +
    "Neither can be left out without wrong answers: the token names only the active organization, even " +
    "after the user has left it, and a membership whose deletion is late must not be visible.",
  ];
}
