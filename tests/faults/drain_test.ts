import { assert, assertEquals } from "@std/assert";
import { measureDrain } from "../../bench/drain.ts";
import { faultTest } from "./fault_case.ts";

faultTest(
  "after an outage the backlog drains without deadlocks, and nothing is lost",
  async () => {
    const result = await measureDrain({ deliveries: 400, senders: 32, compression: 3600 });

    const { answers, outage, drain, acknowledged, kept, lost } = result;
    console.log(
      `drain: sent 400, acknowledged ${acknowledged}, kept ${kept}, lost ${lost}` +
        `; ${outage.attempts + drain.attempts} attempts, ${result.deadlocks} deadlocks`,
    );
    assertEquals({ acknowledged, kept, lost, equalsModel: result.equalsModel }, {
      acknowledged: 400,
      kept: 400,
      lost: 0,
      equalsModel: true,
    });
    assertEquals(
      Object.keys(answers).filter((word) =>
        !/^(200 (applied|stale|duplicate)|500 failed|503 unavailable)$/.test(word)
      ),
      [],
    );
    assert(outage.attempts >= 400);
    assertEquals([result.announcedTwice, result.deadlocks], [0, 0]);
    assertEquals(result.series.reduce((sum, each) => sum + each.acknowledged, 0), 400);
  },
);
