import { assertEquals, assertMatch } from "@std/assert";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { fileURLToPath } from "node:url";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  anEvent,
  anId,
} from "../../local/clerk/events.ts";
import { REBOUND } from "../browser.ts";
import type { TestStack } from "../test_stack.ts";
import { until } from "../until.ts";
import { withConsole } from "./a_console.ts";
import { consoleTest, inList, openTab } from "./console_page.ts";
import { seedHistory } from "./history.ts";

// The console's page in a real browser. Needs Debian's package chromium.

/** Screenshots of every page, for looking at. Git ignores the folder. */
const SCREENSHOTS = fileURLToPath(new URL("../../.local/screenshots/", import.meta.url));

async function refuseCompany({ database }: TestStack): Promise<void> {
  await database.sql`alter table public.profiles add constraint no_ada check (first_name <> 'Ada')`;
}

async function allowCompany({ database }: TestStack): Promise<void> {
  await database.sql`alter table public.profiles drop constraint no_ada`;
}

consoleTest(
  "a delivery appears without a reload, is found by a filter, and opens beside the list",
  async (stack, console, browser) => {
    const { page, errors } = await openTab(browser, console, "page=deliveries");
    await page.getByText("No delivery yet").waitFor();
    const [id, other] = [anId("msg"), anId("msg")];

    await stack.send(anEvent("user.created", aClerkUser()), { id });
    await inList(page, id).waitFor();
    await stack.send(anEvent("session.created", { id: anId("sess") }), { id: other });
    await inList(page, other).waitFor();
    await page.getByRole("button", { name: "applied", exact: true }).click();
    await inList(page, other).waitFor({ state: "detached" });
    await inList(page, id).click();
    await page.getByText("What it changed").waitFor();

    const detail = await page.getByRole("article").innerText();
    assertMatch(detail, /Ada/);
    assertMatch(detail, new RegExp(id));
    assertEquals(errors, []);
  },
);

consoleTest(
  "a failed delivery says why, and is fixed by a replay once its cause is gone",
  async (stack, console, browser) => {
    await refuseCompany(stack);
    const id = anId("msg");
    await stack.send(anEvent("user.created", aClerkUser({ first_name: "Ada" })), { id });
    await stack.database.sql`
      insert into clerk_sync.inbox (message_id, type, outcome)
      select 'msg_' || n, 'session.created', 'ignored'
      from generate_series(1, 250) as n
    `;
    const { page, errors } = await openTab(
      browser,
      console,
      `page=deliveries&outcome=failed&id=${id}`,
    );
    const detail = page.getByRole("article");
    await detail.getByText("SQLSTATE 23514").waitFor();
    const dialog = page.getByRole("dialog");

    await detail.getByRole("button", { name: "Replay…" }).click();
    await dialog.getByText("It would fix 0, and 1 would still fail.").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await allowCompany(stack);
    await detail.getByRole("button", { name: "Replay…" }).click();
    await dialog.getByText("It would fix 1, and 0 would still fail.").waitFor();
    const before = await stack.database.sql`select first_name from public.profiles`;
    await dialog.getByRole("button", { name: "Replay 1 message" }).click();
    await dialog.getByText("1 fixed, 0 still failing.").waitFor();
    await dialog.getByRole("button", { name: "Done" }).click();
    await detail.getByText("What it changed").waitFor();
    // The stream does not tell of what is that far down.
    await page.getByText("No delivery matches").waitFor();

    assertEquals([...before], []);
    assertEquals([...await stack.database.sql`select first_name from public.profiles`], [
      { first_name: "Ada" },
    ]);
    assertEquals(errors, []);
  },
);

consoleTest(
  "a search by id, address or name leads to the timeline, which says why each event has its outcome",
  async (stack, console, browser) => {
    const user = aClerkUser({ first_name: "Ada", last_name: "Marlowe" });
    const id = String(user.id);
    const later = Number(user.updated_at) + 60_000;
    await stack.send(anEvent("user.created", user));
    await stack.send(anEvent("user.updated", { ...user, first_name: "Grace", updated_at: later }));
    await stack.send(anEvent("user.updated", { ...user, updated_at: later - 30_000 }));
    const { page, errors } = await openTab(browser, console, "page=overview");
    const search = page.getByRole("searchbox", { name: "Search by address, name or id" });

    await page.keyboard.press("/");
    await page.keyboard.type(id);
    await page.keyboard.press("Enter");
    await page.locator(".timeline > li").nth(2).waitFor();
    const events = await page.locator(".timeline > li").allInnerTexts();
    await search.fill("grace marlowe");
    await search.press("Enter");
    await page.locator(".card", { hasText: id }).first().waitFor();

    assertMatch(events[0] ?? "", /user\.updated\s+applied[^]*first_name\s+Ada\s+Grace/);
    assertMatch(events[1] ?? "", /user\.updated\s+stale/);
    assertMatch(events[2] ?? "", /user\.created\s+applied/);
    assertEquals(errors, []);
  },
);

consoleTest(
  "view as shows what row-level security lets each person read, beside what exists",
  async (stack, console, browser) => {
    const [owner, stranger, leaver] = [anId("user"), anId("user"), anId("user")];
    const organization = anId("org");
    const left = aClerkMembership({ user: leaver, organization });
    for (
      const [type, data] of [
        ["user.created", aClerkUser({ id: owner, first_name: "Ada" })],
        ["user.created", aClerkUser({ id: stranger, first_name: "Eve" })],
        ["user.created", aClerkUser({ id: leaver, first_name: "Bruno" })],
        ["organization.created", aClerkOrganization({ id: organization, name: "Lantern" })],
        ["organizationMembership.created", aClerkMembership({ user: owner, organization })],
        ["organizationMembership.created", left],
        ["organizationMembership.deleted", left],
      ] as const
    ) await stack.send(anEvent(type, data));
    const { page, errors, go } = await openTab(browser, console, "page=view-as");
    /** The rows that come back, and those that exist. */
    const rows = async (values: string): Promise<[string, string]> => {
      await go(`page=view-as&${values}`);
      const badge = (title: string): ReturnType<Page["locator"]> =>
        page.locator(".card", { has: page.getByRole("heading", { name: title }) })
          .locator("header .badge").first();
      await badge("What exists").waitFor();
      await badge("What comes back").waitFor();
      return [
        await badge("What comes back").innerText(),
        await badge("What exists").innerText(),
      ];
    };

    await page.getByText("Refused").waitFor();
    assertEquals(await rows(`sub=${owner}`), ["1 row", "3 rows"]);
    assertMatch(await page.locator("tr:not(.unseen)", { hasText: "visible" }).innerText(), /Ada/);
    const team = "table=organization_memberships";
    assertEquals(await rows(`${team}&sub=${owner}&org=${organization}`), ["1 row", "1 row"]);
    assertEquals(await rows(`${team}&sub=${stranger}`), ["0 rows", "1 row"]);
    assertEquals(await rows(`${team}&sub=${leaver}`), ["0 rows", "1 row"]);
    // Who is not signed in is refused by the API, which the browser reports.
    assertEquals(errors.filter((error) => !error.includes("401")), []);
  },
);

consoleTest(
  "a payload is text: markup in it does nothing, and a large one opens",
  async (stack, console, browser) => {
    const id = anId("msg");
    const user = aClerkUser({
      first_name: `<img src=x onerror="document.title='broken'">`,
      last_name: "</script><script>document.title='broken'</script>",
      public_metadata: { big: 12345678901234567890, notes: "x".repeat(300_000) },
    });
    const body = JSON.stringify(anEvent("user.created", user))
      .replace("12345678901234567000", "12345678901234567890");
    await stack.send(body, { id });
    const { page, errors, go } = await openTab(browser, console, `page=deliveries&id=${id}`);
    const tree = page.locator(".json");

    await tree.getByText("onerror").waitFor();
    await page.getByRole("searchbox", { name: "Search in payload" }).fill("notes");
    await page.getByText("1 match", { exact: true }).waitFor();
    await page.getByText("show all 300,000 characters").click();
    assertEquals((await tree.innerText()).includes("x".repeat(300_000)), true);
    assertMatch(await tree.innerText(), /big: 12345678901234567890/);
    await go(`page=timeline&q=${user.id}`);
    await page.getByText("onerror").first().waitFor();

    assertEquals(await page.locator("img, .json script").count(), 0);
    assertEquals((await page.title()).includes("broken"), false);
    assertEquals(errors, []);
  },
);

consoleTest(
  "characters that nobody sees, or that turn a text round, are shown as their codes",
  async (stack, console, browser) => {
    const id = anId("msg");
    const user = aClerkUser({
      first_name: "\u202emoc.live",
      public_metadata: { "\u2066key": "file\u202egnp.exe" },
    });
    await stack.send(anEvent("user.created", user), { id });
    const { page, errors, go } = await openTab(browser, console, `page=deliveries&id=${id}`);
    const changed = page.locator(".diff");

    await page.locator(".json").getByText("\\u202emoc.live").first().waitFor();
    await changed.getByText("\\u202emoc.live", { exact: true }).waitFor();
    await changed.getByText('{"\\u2066key": "file\\u202egnp.exe"}').waitFor();
    await go(`page=timeline&q=${user.id}`);
    await page.locator(".pairs").getByText("\\u202emoc.live Marlowe").waitFor();

    assertEquals(/\p{Bidi_Control}/u.test(await page.locator("main").innerText()), false);
    assertEquals(errors, []);
  },
);

consoleTest(
  "a hidden tab keeps no stream, so that any number of tabs can be open",
  async (stack, console, browser) => {
    const [first, second] = [anId("msg"), anId("msg")];
    await stack.send(anEvent("user.created", aClerkUser()), { id: first });
    const { page } = await openTab(browser, console, "page=deliveries");
    await inList(page, first).waitFor();
    const open = new Set<string>();
    page.on("request", (request) => request.url().endsWith("/api/stream") && open.add("stream"));
    page.on("requestfailed", () => open.clear());
    const show = (isShown: boolean): Promise<void> =>
      page.evaluate(`
        Object.defineProperty(document, "hidden", { value: ${!isShown}, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      `);

    const failed = page.waitForEvent("requestfailed");
    await show(false);
    const { url } = await failed.then((request) => ({ url: request.url() }));
    await stack.send(anEvent("user.created", aClerkUser()), { id: second });
    await page.waitForTimeout(2500);
    const whileHidden = await inList(page, second).count();
    await show(true);
    await inList(page, second).waitFor();

    assertMatch(url, /\/api\/stream$/);
    assertEquals([whileHidden, open.size], [0, 1]);
    assertEquals(await page.getByText("Reconnecting").count(), 0);
  },
);

consoleTest(
  "without the token of this run the page shows nothing, and no other origin can ask the server",
  async (stack, console, browser) => {
    await stack.send(anEvent("user.created", aClerkUser()));
    const foreign = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("<title>foreign</title>", { headers: { "content-type": "text/html" } }),
    );
    const context = await browser.newContext();
    const page = await context.newPage();

    await page.goto(`${console.origin}/#token=wrong&page=deliveries`);
    await page.getByRole("heading", { name: "Open the URL that the command printed" }).waitFor();
    await page.goto(`${console.origin}/`);
    await page.getByRole("heading", { name: "Open the URL that the command printed" }).waitFor();
    const words = await page.getByRole("alert").innerText();
    await page.goto(`http://127.0.0.1:${foreign.addr.port}/`);
    const ask = async (url: string): Promise<string> =>
      await page.evaluate(
        ([url, token]) =>
          fetch(`${url}/api/messages`, { headers: { authorization: `Bearer ${token}` } })
            .then((response) => `status ${response.status}`, () => "refused"),
        [url, console.token] as const,
      );
    const answer = await ask(console.origin);
    const { port } = new URL(console.origin);
    const rebound = await page.goto(`http://${REBOUND}:${port}/`);
    await foreign.shutdown();

    assertMatch(words, /the key of this run: npx -y deno@2\.9\.6 task dev prints another one/);
    assertEquals(answer, "refused");
    assertEquals(rebound?.status(), 403);
  },
);

consoleTest(
  "everything works with the keyboard: arrows move, Enter opens, Esc closes",
  async (stack, console, browser) => {
    const ids = [anId("msg"), anId("msg"), anId("msg")];
    for (const id of ids) await stack.send(anEvent("user.created", aClerkUser()), { id });
    const [oldest = "", middle = "", newest = ""] = ids;
    const { page, errors } = await openTab(browser, console, "page=deliveries");
    await inList(page, newest).waitFor();
    const focused = (): Promise<unknown> =>
      page.evaluate("document.activeElement?.closest('[data-id]')?.dataset.id");

    // A key that follows in the same frame is not lost.
    await page.evaluate(`(async () => {
      const link = document.querySelector('[data-id="${newest}"] a');
      link.focus();
      for (let turns = 0; turns < 5; turns++) await Promise.resolve();
      link.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    })()`);
    await until("the next row has the focus", async () => await focused() === middle);
    await page.keyboard.press("Enter");
    await page.getByRole("article").getByText(middle).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.getByRole("article").getByText(oldest).waitFor();
    await page.getByRole("searchbox", { name: "Search in payload" }).press("Escape");
    assertEquals(await page.getByRole("article").count(), 1, "Esc in a field is the field's");
    await inList(page, oldest).getByRole("link").focus();
    await page.keyboard.press("Escape");
    await page.getByRole("article").waitFor({ state: "detached" });
    await until("the row has the focus again", async () => await focused() === oldest);
    await page.keyboard.press("/");

    assertEquals(await page.evaluate("document.activeElement?.type"), "search");
    assertEquals(errors, []);
  },
);

consoleTest(
  "the menu counts what was refused since somebody looked",
  async (_, console, browser) => {
    const refuse = (): void => console.refusals.note('{"outcome":"bad_signature","status":401}');
    refuse();
    refuse();
    const { page, errors } = await openTab(browser, console, "page=overview");
    const entry = page.getByRole("link", { name: /^Never arrived/ });

    await page.getByRole("link", { name: "Never arrived 2 refused" }).waitFor();
    await entry.click();
    await page.getByRole("link", { name: "Never arrived", exact: true }).waitFor();
    await page.getByRole("link", { name: "Deliveries" }).first().click();
    refuse();
    await page.getByRole("link", { name: "Never arrived 1 refused" }).waitFor();

    assertEquals(errors, []);
  },
);

consoleTest(
  "a single delivery is a dot that can be seen, and a page that has the focus has a whole frame",
  async (stack, console, browser) => {
    await stack.send(anEvent("user.created", aClerkUser()));
    const { page, go } = await openTab(browser, console, "page=overview");
    await page.getByLabel(/^Time from Clerk's event to the committed row, per minute\. /).waitFor();
    const coloured = async (): Promise<number> =>
      await page.evaluate(`(() => {
      const canvas = document.querySelector('.chart[aria-label^="Time from"] canvas');
      if (!canvas?.width) return 0;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue, alpha] = data.slice(at, at + 4);
        if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 80) found++;
      }
      return found;
    })()`);

    await until("the dot is drawn", async () => await coloured() > 20);
    await go("page=deliveries");
    await page.locator("[data-id]").first().waitFor();
    await page.keyboard.press("Tab");
    await page.getByText("Skip to the page").press("Enter");
    const corners = await page.evaluate(`(() => {
      const { left, top, right, bottom } = document.querySelector("#main").getBoundingClientRect();
      const frame = getComputedStyle(document.querySelector(".frame"), "::after");
      return [frame.outlineStyle, parseFloat(frame.width) === right - left,
        parseFloat(frame.height) === bottom - top, document.activeElement.id];
    })()`);

    assertEquals(corners, ["solid", true, true, "main"]);
    await page.screenshot({ path: `${SCREENSHOTS}focus.png` });
  },
);

consoleTest(
  "when its server is gone the page says so, and asks for the new URL when another has started",
  async (stack, console, browser) => {
    const { page } = await openTab(browser, console, "page=overview");
    await page.getByText("Live", { exact: true }).waitFor();

    await console.console.stop();
    await page.getByText("The console's server does not answer.").waitFor();
    await page.getByText("Reconnecting…").waitFor();

    await withConsole(stack, async () => {
      await page.getByRole("heading", { name: "Open the URL that the command printed" }).waitFor();
    }, { port: console.console.port });
  },
);

consoleTest(
  "an event that is composed and sent is answered, and a wrong signature never arrives",
  async (stack, console, browser) => {
    const { page, errors } = await openTab(browser, console, "page=try");
    const answers = page.getByRole("region", { name: "Answers" });

    await page.getByRole("button", { name: "Send", exact: true }).click();
    await answers.getByText("applied").waitFor();
    await page.getByRole("radio", { name: /Twice/ }).check();
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await answers.getByText("duplicate").waitFor();
    await page.getByRole("radio", { name: /Wrong signature/ }).check();
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await answers.getByText("bad signature").waitFor();
    stack.log.forEach((line) => console.refusals.note(line));
    await page.getByRole("link", { name: "Never arrived" }).click();
    await page.getByRole("cell", { name: /bad signature/ }).waitFor();

    assertEquals(errors, []);
  },
);

/** Every page, with what has to be there before it is looked at. */
const PAGES: readonly (readonly [name: string, hash: string, wait: string])[] = [
  ["overview", "page=overview", ".u-wrap"],
  ["deliveries", "page=deliveries", ".list-body .list-row"],
  ["delivery", "page=deliveries&id=FAILED", ".json"],
  ["delivery-applied", "page=deliveries&id=APPLIED", ".diff"],
  ["timeline", "page=timeline&q=USER", ".timeline"],
  ["timeline-erased", "page=timeline&q=ERASED", ".timeline"],
  ["timeline-empty", "page=timeline", ".empty"],
  ["refusals", "page=refusals", "tbody"],
  ["view-as", "page=view-as&sub=USER", ".unseen"],
  ["downstream", "page=downstream", "tbody"],
  ["runs", "page=runs", "tbody"],
  ["try", "page=try", "textarea"],
];

interface Violation {
  readonly id: string;
  readonly impact?: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe finds that is more than minor. */
async function violationsIn(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(
    "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)",
  ) as Violation[];
  return violations.filter(({ impact }) => impact !== "minor")
    .map(({ id, nodes: [node] }) => `${id}: ${node?.html} ${node?.failureSummary}`);
}

consoleTest(
  "every page is accessible, fits its screen, and reports no error, in both themes and widths",
  async (stack, console, browser) => {
    const known = await seedHistory(stack);
    stack.log.forEach((line) => console.refusals.note(line));
    await Deno.mkdir(SCREENSHOTS, { recursive: true });
    const wrong: string[] = [];

    const look = async (colorScheme: "light" | "dark", width: number): Promise<void> => {
      const { page, errors, go } = await openTab(browser, console, "page=overview", {
        colorScheme,
        viewport: { width, height: 860 },
      });
      // The slow part. Two looks have both themes and both widths.
      const isExamined = (colorScheme === "light") === (width === 1280);
      for (const [name, hash, wait] of PAGES) {
        const at = `${name}-${colorScheme}-${width}`;
        await go(hash.replace(/FAILED|APPLIED|USER|ERASED/, (word) => known[word] ?? ""));
        await page.locator(wait).first().waitFor();
        await page.waitForTimeout(300);
        await page.screenshot({ path: `${SCREENSHOTS}${at}.png` });
        const scrolled = await page.evaluate("document.documentElement.scrollWidth");
        if (scrolled !== width) wrong.push(`${at}: ${scrolled} px wide`);
        if (isExamined) wrong.push(...(await violationsIn(page)).map((text) => `${at}: ${text}`));
      }
      wrong.push(...errors.map((error) => `${colorScheme}-${width}: ${error}`));
      await page.context().close();
    };
    await Promise.all([look("light", 1280), look("dark", 390)]);
    await Promise.all([look("dark", 1280), look("light", 390)]);

    assertEquals(wrong, []);
  },
);
