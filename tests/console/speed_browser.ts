import { assertEquals, assertLess } from "@std/assert";
import { until } from "../until.ts";
import { consoleTest, openTab } from "./console_page.ts";

// How fast the console's page is in a real browser, and so alone on the machine. Needs Debian's package
// chromium.

consoleTest(
  "a list of a million deliveries scrolls: a page of it takes less than 100 ms",
  async (stack, console, browser) => {
    await stack.database.sql`
      insert into clerk_sync.inbox (message_id, type, object_id, outcome, received_at)
      select
        'msg_' || lpad(n::text, 27, '0'),
        case n % 3 when 0 then 'user.created' else 'user.updated' end,
        'user_' || lpad((n % 9973)::text, 27, '0'),
        case n % 100 when 0 then 'stale' else 'applied' end,
        now() - make_interval(secs => n)
      from generate_series(1, 1000000) as n
    `;
    // Otherwise autovacuum would do it meanwhile.
    await stack.database.sql`vacuum (analyze) clerk_sync.inbox`;
    const { page, errors } = await openTab(browser, console, "page=deliveries");
    await page.locator(".list-body .list-row").first().waitFor();
    const took: number[] = [];
    page.on("requestfinished", (request) => {
      if (request.url().includes("after=")) took.push(request.timing().responseEnd);
    });

    await page.evaluate(`globalThis.frames_ = [];
      (function tick(last) {
        requestAnimationFrame((now) => { frames_.push(now - last); tick(now); });
      })(performance.now());`);
    for (let pages = 0; pages < 40; pages++) {
      const rows = took.length;
      await page.evaluate(`document.querySelector(".list-scroll").scrollTop += 3600`);
      await until("the next page is there", () => took.length > rows);
    }
    const frames = await page.evaluate("frames_") as number[];
    const drawn = await page.locator(".list-body .list-row").count();

    assertLess(percentile(took, 0.95), 100);
    assertLess(percentile(frames, 0.95), 100);
    assertLess(drawn, 100);
    assertEquals(errors, []);
  },
);

consoleTest(
  "a thousand deliveries a minute keep the page smooth, and wait above while somebody reads below",
  async (stack, console, browser) => {
    const { sql } = stack.database;
    const arrive = async (): Promise<void> => {
      await sql`
        insert into clerk_sync.inbox (message_id, type, object_id, outcome)
        select 'msg_' || gen_random_uuid(), 'user.updated', 'user_' || n, 'applied'
        from generate_series(1, 9) as n
      `;
    };
    for (let batch = 0; batch < 20; batch++) await arrive();
    const { page, errors } = await openTab(browser, console, "page=deliveries");
    await page.locator(".list-body .list-row").first().waitFor();
    await page.evaluate(`document.querySelector(".list-scroll").scrollTop = 1000`);
    await page.evaluate(`globalThis.frames_ = [];
      (function tick(last) {
        requestAnimationFrame((now) => { frames_.push(now - last); tick(now); });
      })(performance.now());`);

    for (let half = 0; half < 10; half++) {
      await arrive();
      await page.waitForTimeout(500);
    }
    const pill = page.getByRole("button", { name: /\d+ new/ });
    await pill.waitFor();
    const top = await page.evaluate(`document.querySelector(".list-scroll").scrollTop`);
    const frames = await page.evaluate("frames_") as number[];
    await pill.click();
    await pill.waitFor({ state: "detached" });

    assertEquals(top, 1000);
    assertEquals(await page.evaluate(`document.querySelector(".list-scroll").scrollTop`), 0);
    assertLess(percentile(frames, 0.95), 50);
    assertEquals(errors, []);
  },
);

function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Infinity;
}
