import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { startBrowser } from "../browser.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { type TestConsole, withConsole } from "./a_console.ts";

/** A tab with the console, and what went wrong in it. */
export interface Tab {
  readonly page: Page;
  /** What the browser's console reports: errors of scripts, and requests that a policy forbids. */
  readonly errors: readonly string[];
  go(hash: string): Promise<void>;
}

/** A test with a stack, its console, and a browser. */
export function consoleTest(
  name: string,
  test: (stack: TestStack, console: TestConsole, browser: Browser) => Promise<void>,
): void {
  stackTest(name, async (stack) => {
    const browser = await startBrowser();
    try {
      // As README has it, because README shows a picture of the page.
      const typed = { command: "npx -y deno@2.9.6 task", envFlag: "" };
      await withConsole(stack, (console) => test(stack, console, browser), typed);
    } finally {
      await Promise.all(browser.contexts().map((context) => context.close()));
    }
  });
}

export async function openTab(
  browser: Browser,
  { console: { url } }: TestConsole,
  hash: string,
  options: BrowserContextOptions = {},
): Promise<Tab> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  const go = async (hash: string): Promise<void> => {
    // Another fragment alone would not load the page again.
    await page.goto("about:blank");
    await page.goto(`${url}&${hash}`);
    await page.getByRole("heading", { level: 1 }).last().waitFor();
  };
  await go(hash);
  return { page, errors, go };
}

/** A message of the list. */
export function inList(page: Page, id: string): ReturnType<Page["locator"]> {
  return page.locator(`[data-id="${id}"]`);
}
