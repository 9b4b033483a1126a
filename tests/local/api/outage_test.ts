import { assert, assertEquals } from "@std/assert";
import { type Services, startServices } from "../../../local/services.ts";
import { faultTest } from "../../faults/fault_case.ts";
import { startOwnPostgres } from "../../../bench/outage/own_postgres.ts";
import { until } from "../../until.ts";

async function askFor({ apiUrl, keys }: Services): Promise<number> {
  const response = await fetch(`${apiUrl}/rest/v1/profiles`, { headers: { apikey: keys.secret } });
  await response.body?.cancel();
  return response.status;
}

faultTest(
  "the API says at once that Postgres is away, and answers once it is back",
  async () => {
    await using postgres = await startOwnPostgres();
    await using services = await startServices({
      postgres,
      database: postgres.database,
      functions: false,
    });
    const ask = (): Promise<number> => askFor(services);
    assertEquals(await ask(), 200);

    await postgres.kill();
    const asked = performance.now();
    const away = await Promise.all(Array.from({ length: 24 }, ask));
    const milliseconds = performance.now() - asked;
    await postgres.start();

    assertEquals(new Set(away), new Set([503]));
    assert(milliseconds < 8_000, `${milliseconds} ms`);
    await until("the API answers", async () => await ask() === 200);
  },
);

faultTest(
  "the API says at once that Postgres is away, however often it is asked, and if never asked before",
  async () => {
    await using postgres = await startOwnPostgres();
    await using services = await startServices({
      postgres,
      database: postgres.database,
      functions: false,
    });

    await postgres.kill();
    const asked = performance.now();
    const away: number[] = [];
    for (let time = 0; time < 8; time++) away.push(await askFor(services));
    const milliseconds = performance.now() - asked;

    assertEquals(away, new Array(8).fill(503));
    assert(milliseconds < 8_000, `${milliseconds} ms`);
    await postgres.start();
    await until("the API answers", async () => await askFor(services) === 200);
  },
);

/** Answers on a port as Postgres does while it starts. */
async function answerAsStarting(listener: Deno.Listener): Promise<void> {
  const fields = ["SFATAL", "C57P03", "Mthe database system is starting up", ""];
  const body = new TextEncoder().encode(fields.map((field) => `${field}\0`).join(""));
  const message = new Uint8Array(5 + body.length);
  message[0] = "E".charCodeAt(0);
  new DataView(message.buffer).setInt32(1, 4 + body.length);
  message.set(body, 5);
  for await (const connection of listener) {
    await connection.read(new Uint8Array(1024));
    await connection.write(message);
    connection.close();
  }
}

faultTest("the API says that Postgres is away while Postgres is starting", async () => {
  await using postgres = await startOwnPostgres();
  await using services = await startServices({
    postgres,
    database: postgres.database,
    functions: false,
  });
  assertEquals(await askFor(services), 200);

  await postgres.kill();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: postgres.port });
  const answering = answerAsStarting(listener);
  const away = await Promise.all([askFor(services), askFor(services)]);
  listener.close();
  await answering;

  assertEquals(away, [503, 503]);
});
