import { makeEphemeralFolder, stackHome } from "../../local/postgres/home.ts";
import { type PostgresServer, startPostgres } from "../../local/postgres/postgres.ts";
import { preparePostgresRuntime } from "../../local/postgres/runtime.ts";

/** Stand-ins for the extensions: name, settings of the control file, SQL. */
const STAND_INS = [
  [
    "pg_cron",
    "schema = pg_catalog",
    `
      create schema cron;
      create table cron.job (
        jobid bigint generated always as identity,
        jobname text unique,
        schedule text,
        command text,
        database text default current_database(),
        active boolean not null default true
      );
      create table cron.job_run_details (
        jobid bigint,
        runid bigint generated always as identity primary key,
        status text,
        start_time timestamptz,
        end_time timestamptz
      );
      create function cron.schedule(name text, schedule text, command text) returns bigint
        language sql as $$
          insert into cron.job (jobname, schedule, command) values (name, schedule, command)
          on conflict (jobname) do update set schedule = excluded.schedule, command = excluded.command
          returning jobid
        $$;
      create function cron.unschedule(jobid bigint) returns boolean
        language sql as 'delete from cron.job where job.jobid = $1 returning true';
      grant all on schema cron to postgres;
      grant all on all tables in schema cron to postgres;
    `,
  ],
  [
    "pg_net",
    "",
    "create schema net; create function net.http_post() returns void language sql as '';",
  ],
];

/** Starts a Postgres of its own in which stand-ins of pg_cron and pg_net can be created. */
export async function startWithExtensions(): Promise<PostgresServer> {
  const folder = await makeEphemeralFolder(await stackHome());
  // Another process may have cleared it away as abandoned.
  const remove = (): Promise<void> => Deno.remove(folder, { recursive: true }).catch(() => {});
  try {
    const runtimeDir = `${folder}/runtime`;
    const { root } = await preparePostgresRuntime(runtimeDir);
    for (const [name, settings, sql = ""] of STAND_INS) {
      const file = `${root}/share/postgresql/extension/${name}`;
      const control = `default_version = '1.0'\nrelocatable = false\ntrusted = true\n${settings}\n`;
      await Deno.writeTextFile(`${file}.control`, control);
      await Deno.writeTextFile(`${file}--1.0.sql`, sql);
    }
    const server = await startPostgres({
      runtimeDir,
      dataDir: `${folder}/postgres`,
      port: 0,
      settings: { fsync: "off" },
    });
    const stop = async (): Promise<void> => {
      await server.stop();
      await remove();
    };
    return { ...server, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await remove();
    throw error;
  }
}
