import { assertEquals, assertLess } from "@std/assert";
import { aSeed } from "../random.ts";
import { databaseTest } from "../test_database.ts";
import { proveConvergence } from "./prove_convergence.ts";
import { Stage } from "./stage.ts";

// I4, I7 and I9 with a few worlds; `deno task prove` plays thousands. SEED=… and WORLDS=… repeat a run.

const SEED = aSeed();
const WORLDS = Number(Deno.env.get("WORLDS") ?? 30);

databaseTest(
  `${WORLDS} worlds (seed ${SEED}) end in the same rows in any order`,
  (database) =>
    Stage.with(database, async (stage) => {
      const { worlds, collisions, counterExample } = await proveConvergence(stage, {
        seed: SEED,
        worlds: WORLDS,
        // The command below finds a smaller one.
        patience: 20_000,
      });

      const again = `Again: deno task prove --seed ${SEED} --path ${counterExample?.path}`;
      assertEquals(counterExample?.report, undefined, again);
      assertEquals(worlds, WORLDS);
      assertLess(collisions, WORLDS);
    }),
);
