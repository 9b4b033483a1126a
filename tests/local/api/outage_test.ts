import { assert, assertEquals } from "@std/assert";
import { startServices } from "../../../local/services.ts";
import { faultTest } from "../../faults/fault_case.ts";
import { startOwnPostgres } from "../../../bench/outage/own_postgres.ts";
import { until } from "../../until.ts";

faultTest(
  "the API says at once that Postgres is away, and answers once it is back",
  async () => {
    await using postgres = await startOwnPostgres();
    await using services = await startServices({
      postgres,
      database: postgres.database,
      functions: false,
    });
    const ask = async (): Promise<number> => {
      const response = await fetch(`${services.apiUrl}/rest/v1/profiles`, {
        headers: { apikey: services.keys.secret },
      });
      await response.body?.cancel();
      return response.status;
    };
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
