import { assertEquals, assertLess } from "@std/assert";
import { aSeed } from "../random.ts";
import { databaseTest } from "../test_database.ts";
import { POSTGRES_VERSIONS, stopPostgres15 } from "../test_server.ts";
import { proveConvergence } from "./prove_convergence.ts";
import { Stage } from "./stage.ts";

// I4, I7 and I9 with a few worlds; `deno task prove` plays thousands. SEED=… and WORLDS=… repeat a run.

const SEED = aSeed();
const WORLDS = Number(Deno.env.get("WORLDS") ?? 30);

/** Fewer on Postgres 15: they look for what behaves differently there, not for orders that diverge. */
const WORLDS_BY_VERSION = { 15: Math.ceil(WORLDS / 3), 17: WORLDS };

Deno.test.afterAll(stopPostgres15);

for (const version of POSTGRES_VERSIONS) {
  const count = WORLDS_BY_VERSION[version];

  databaseTest(
    `${count} worlds (seed ${SEED}) end in the same rows in any order on Postgres ${version}`,
    (database) =>
      Stage.with(database, async (stage) => {
        const { worlds, collisions, counterExample } = await proveConvergence(stage, {
          seed: SEED,
          worlds: count,
          // The command below finds a smaller one.
          patience: 20_000,
        });

        const again = `Again: deno task prove --seed ${SEED} --path ${counterExample?.path}`;
        assertEquals(counterExample?.report, undefined, again);
        assertEquals(worlds, count);
        assertLess(collisions, count);
      }),
    { version },
  );
}
