import { assertEquals, assertMatch } from "@std/assert";
import { decodeJwt } from "jose";
import type { Page } from "playwright-core";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import {
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  anEvent,
} from "../../local/clerk/events.ts";
import { spawnBound } from "../../local/process.ts";
import { withEnvFile } from "../cli/with_env_file.ts";
import { stackTest, type TestStack } from "../test_stack.ts";
import { until } from "../until.ts";
import { startBrowser } from "../browser.ts";

// examples/react, built and used in a real browser. Needs Debian's package chromium and npm's registry.

const FOLDER = fileURLToPath(new URL("../../examples/react", import.meta.url));

async function npm(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("npm", {
    args: [...args],
    cwd: FOLDER,
    env,
  }).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot run npm ${args.join(" ")}: ${output}`);
  return output;
}

/** As on a machine with Node only. */
function pathWithoutDeno(): string {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  return folders.filter((folder) => !existsSync(`${folder}/deno`)).join(":");
}

/** Builds the example for the local stack, and serves it meanwhile. */
function withExample(stack: TestStack, use: (url: string) => Promise<void>): Promise<void> {
  return withEnvFile(stack, async (file) => {
    const env = { CLERK_SYNC_ENV: file, PATH: pathWithoutDeno() };
    const options = ["--mode", "stack", "--outDir", `${dirname(file)}/dist`];
    await npm(["run", "build", "--", ...options, "--emptyOutDir"], env);

    const { promise: url, resolve } = Promise.withResolvers<string>();
    const server = spawnBound("node", {
      args: ["node_modules/vite/bin/vite.js", "preview", ...options, "--host", "127.0.0.1"],
      cwd: FOLDER,
      env: { ...Deno.env.toObject(), ...env, NO_COLOR: "1" },
      onOrphaned: "KILL",
      onLine: (line) => {
        const [found] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
        if (found !== undefined) resolve(found);
      },
    });
    const failed = server.ended.then(() => {
      throw new Error(`Cannot serve the example: ${server.lastLines().join("\n")}`);
    });
    failed.catch(() => {});
    try {
      await use(await Promise.race([url, failed]));
    } finally {
      server.signal("SIGKILL");
      await server.ended;
    }
  });
}

/** Opens a page in a tab with a profile of its own, and collects the errors that none of its code caught. */
async function openPage(
  url: string,
  script = "",
): Promise<{ readonly page: Page; readonly errors: readonly string[] } & AsyncDisposable> {
  const context = await (await startBrowser()).newContext();
  context.setDefaultTimeout(30_000);
  await context.addInitScript(script);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(url);
  return { page, errors, [Symbol.asyncDispose]: () => context.close() };
}

async function click(page: Page, button: string): Promise<void> {
  await page.getByRole("button", { name: button, exact: true }).click();
}

async function shows(page: Page, text: string): Promise<void> {
  await page.getByText(text).first().waitFor();
}

/** The id of the user who is signed in, as the page shows it. */
async function idOnScreen(page: Page, prefix: "user" | "org"): Promise<string> {
  const text = await page.locator("body").innerText();
  const [id = ""] = new RegExp(`${prefix}_\\w+`).exec(text) ?? [];
  assertMatch(id, /_/);
  return id;
}

async function signUp(page: Page): Promise<string> {
  await click(page, "Sign up");
  await shows(page, "The row is there");
  return await idOnScreen(page, "user");
}

Deno.test("the example installs from its lock file, and its build names the variables that are missing", async () => {
  const outDir = await Deno.makeTempDir();
  const build = ["run", "build", "--", "--outDir", outDir, "--emptyOutDir"];
  const env = {
    VITE_CLERK_PUBLISHABLE_KEY: "pk_test_none",
    VITE_SUPABASE_URL: "http://127.0.0.1:1",
    VITE_SUPABASE_PUBLISHABLE_KEY: "none",
  };

  await npm(["ci"]);
  await npm(build, env);
  const error = await npm(build, { ...env, VITE_SUPABASE_URL: "" }).catch(String);
  await Deno.remove(outDir, { recursive: true });

  assertMatch(error, /Cannot start without VITE_SUPABASE_URL: copy \.env\.example/);
});

Deno.test("without a stack, the example says in a sentence how to start one", async () => {
  const { code, stderr } = await new Deno.Command("node", {
    args: ["node_modules/vite/bin/vite.js", "--mode", "stack"],
    cwd: FOLDER,
    env: { CLERK_SYNC_ENV: "/nowhere/env", PATH: pathWithoutDeno() },
  }).output();

  assertEquals(code, 1);
  assertMatch(
    new TextDecoder().decode(stderr),
    /^Cannot find a running stack as \/nowhere\/env does not exist: start one in \S+ with `npx -y deno@2\.9\.6 task dev`\n$/,
  );
});

stackTest(
  "right after sign-up the row is on the screen, the webhook's changes follow, and the team page shows the active organization's members and no others, on a narrow screen, too",
  (stack) =>
    withExample(stack, async (url) => {
      await using tab = await openPage(url);
      const { page, errors } = tab;

      const user = await signUp(page);
      const rows = await stack.database.sql`select id, updated_at from public.profiles`;
      await page.getByText(`npx -y deno@2.9.6 task send user.created --user ${user} --env /`)
        .waitFor();
      await stack.send(anEvent("user.created", aClerkUser({ id: user, first_name: "Ada" })));
      await shows(page, "Ada Marlowe");
      await page.getByText(`✓ user.created --user ${user}`, { exact: true }).waitFor();

      await click(page, "Create organization");
      await shows(page, "Nobody yet");
      const organization = await idOnScreen(page, "org");
      for (
        const [type, data] of [
          ["user.created", aClerkUser({ id: "user_bruno", first_name: "Bruno" })],
          ["user.created", aClerkUser({ id: "user_eve", first_name: "Eve" })],
          ["organization.created", aClerkOrganization({ id: organization, name: "Lantern" })],
          ["organizationMembership.created", aClerkMembership({ user, organization })],
          [
            "organizationMembership.created",
            aClerkMembership({ user: "user_bruno", organization }),
          ],
          ["organizationMembership.created", aClerkMembership({ user, organization: "org_other" })],
          [
            "organizationMembership.created",
            aClerkMembership({ user: "user_eve", organization: "org_other" }),
          ],
        ] as const
      ) await stack.send(anEvent(type, data));
      await shows(page, "Bruno Marlowe");
      await shows(page, "All that Clerk would send has arrived.");
      const members = await page.locator(".members .person > :nth-child(2)").allInnerTexts();
      await page.setViewportSize({ width: 390, height: 800 });
      const width = await page.evaluate("document.documentElement.scrollWidth");
      await click(page, "Sign out");
      await shows(page, "Sign up to see your row");

      assertEquals([...rows], [{ id: user, updated_at: null }]);
      assertEquals(members, ["Ada Marlowe (you)", "Bruno Marlowe"]);
      assertEquals(width, 390);
      assertEquals((await page.locator("body").innerText()).includes("Ada"), false);
      assertEquals(errors, []);
    }),
);

/** Runs in the page: a Realtime that accepts every channel, timers that only tick when told, and a counter. */
function standInRealtime(): void {
  const timers: (() => void)[] = [];
  const state = {
    token: "",
    loads: 0,
    tellChange: (): void => {},
    tick: (): void => timers.forEach((timer) => timer()),
  };
  const { fetch } = globalThis;
  Object.assign(globalThis, {
    state,
    setInterval: (timer: () => void) => timers.push(timer),
    fetch: (input: string | URL | Request, init?: RequestInit) => {
      const url = input instanceof Request ? input.url : String(input);
      if (url.includes("/rpc/ensure_profile")) state.loads++;
      return fetch(input, init);
    },
    WebSocket: class {
      readyState = 0;
      onopen?: (event: unknown) => void;
      onmessage?: (event: unknown) => void;

      constructor() {
        setTimeout(() => {
          this.readyState = 1;
          this.onopen?.({});
        });
      }

      send(text: string): void {
        const [join, ref, topic, event, payload] = JSON.parse(text);
        const tell = (ref: string | null, event: string, payload: unknown): void => {
          const data = JSON.stringify([join, ref, topic, event, payload]);
          setTimeout(() => this.onmessage?.({ data }));
        };
        const changes = event === "phx_join" ? payload.config.postgres_changes : [];
        const response = { postgres_changes: changes.map((each: object) => ({ ...each, id: 1 })) };
        tell(ref, "phx_reply", { status: "ok", response });
        if (event !== "phx_join") return;
        state.token = payload.access_token;
        tell(null, "system", { extension: "postgres_changes", status: "ok" });
        state.tellChange = () =>
          tell(null, "postgres_changes", {
            ids: [1],
            data: { ...changes[0], type: "UPDATE", columns: [], record: {}, errors: null },
          });
      }

      close(): void {}
    },
  });
}

stackTest(
  "with Realtime the profile is loaded again on each change, and not in between",
  (stack) =>
    withExample(stack, async (url) => {
      await using tab = await openPage(url, `(${standInRealtime})()`);
      const { page } = tab;
      const user = await signUp(page);
      // The first, and the one after the subscription.
      await until(
        "the profile was loaded twice",
        async () => await page.evaluate("state.loads") === 2,
      );
      await stack.send(anEvent("user.created", aClerkUser({ id: user, first_name: "Ada" })));

      await page.evaluate("state.tick(), state.tellChange()");
      await shows(page, "Ada Marlowe");

      const token = String(await page.evaluate("state.token"));
      assertEquals(await page.evaluate("state.loads"), 3);
      assertEquals(decodeJwt(token).sub, user);
    }),
);
