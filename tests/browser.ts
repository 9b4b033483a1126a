import { type Browser, chromium } from "playwright-core";

/** A foreign name that leads to this machine, as in DNS rebinding. */
export const REBOUND = "rebound.example";

let browser: Promise<Browser> | undefined;

/** Debian's Chromium, started once in each process of tests; every context of it has a profile of its own. */
export function startBrowser(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--disable-dev-shm-usage",
      `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`,
    ],
  });
  return browser;
}

Deno.test.afterAll(async () => {
  await (await browser)?.close();
});
