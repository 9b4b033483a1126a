import { assertEquals, assertMatch } from "@std/assert";
import { decodeJwt } from "jose";
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
import { type Page, startBrowser } from "./browser.ts";

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

/** Builds the example for the local stack, and serves it meanwhile. */
function withExample(stack: TestStack, use: (url: string) => Promise<void>): Promise<void> {
  return withEnvFile(stack, async (file) => {
    const env = { CLERK_SYNC_ENV: file };
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

/** The id of the user who is signed in, as the page shows it. */
async function idOnScreen(page: Page, prefix: "user" | "org"): Promise<string> {
  const [id = ""] = new RegExp(`${prefix}_\\w+`).exec(await page.text()) ?? [];
  assertMatch(id, /_/);
  return id;
}

async function signUp(page: Page): Promise<string> {
  await page.click("Sign up");
  await page.shows("The row is there");
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

stackTest(
  "right after sign-up the row is on the screen, and the webhook's changes follow",
  (stack) =>
    withExample(stack, async (url) => {
      await using browser = await startBrowser();
      const page = await browser.open(url);

      const user = await signUp(page);
      const rows = await stack.database.sql`select id, updated_at from public.profiles`;
      await stack.send(anEvent("user.created", aClerkUser({ id: user, first_name: "Ada" })));
      await page.shows("Ada Marlowe");

      assertEquals([...rows], [{ id: user, updated_at: null }]);
      assertEquals(page.exceptions, []);
    }),
);

stackTest(
  "the team page shows the members of the active organization, and of no other",
  (stack) =>
    withExample(stack, async (url) => {
      await using browser = await startBrowser();
      const page = await browser.open(url);
      const user = await signUp(page);
      await page.click("Create organization");
      await page.shows("Nobody yet");
      const organization = await idOnScreen(page, "org");

      for (
        const [type, data] of [
          ["user.created", aClerkUser({ id: user, first_name: "Ada" })],
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
      await page.shows("Bruno Marlowe");
      const members = await page.evaluate(
        `[...document.querySelectorAll(".members .person > :nth-child(2)")].map((each) => each.innerText)`,
      );
      await page.click("Sign out");
      await page.shows("Sign up to see your row");

      assertEquals(members, ["Ada Marlowe (you)", "Bruno Marlowe"]);
      assertEquals((await page.text()).includes("Ada"), false);
      assertEquals(page.exceptions, []);
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
      await using browser = await startBrowser();
      const page = await browser.open(url, { script: `(${standInRealtime})()` });
      const user = await signUp(page);
      // The first, and the one after the subscription.
      await until(
        "the profile was loaded twice",
        async () => await page.evaluate("state.loads") === 2,
      );
      await stack.send(anEvent("user.created", aClerkUser({ id: user, first_name: "Ada" })));

      await page.evaluate("state.tick(), state.tellChange()");
      await page.shows("Ada Marlowe");

      const token = String(await page.evaluate("state.token"));
      assertEquals(await page.evaluate("state.loads"), 3);
      assertEquals(decodeJwt(token).sub, user);
    }),
);

stackTest(
  "on a narrow screen nothing is wider than the screen",
  (stack) =>
    withExample(stack, async (url) => {
      await using browser = await startBrowser();
      const page = await browser.open(url, { width: 390 });

      await signUp(page);
      await page.click("Create organization");
      await page.shows("Nobody yet");

      assertEquals(await page.evaluate("document.documentElement.scrollWidth"), 390);
    }),
);
