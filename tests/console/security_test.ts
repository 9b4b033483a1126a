import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { ConsoleProject } from "../../console/server/deps.ts";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { stackTest } from "../test_stack.ts";
import { withConsole } from "./a_console.ts";

const GET = [
  ...["project", "status", "messages", "messages/msg_1", "explain?q=user_1", "refusals", "queue"],
  ...["clerk", "runs", "activity", "events", "people", "tables", "tables/profiles"],
].map((path) => `/api/${path}`);

const POST: [string, unknown][] = [
  ["/api/replay", { dry_run: true }],
  ["/api/discard", { message_ids: ["msg_0"] }],
  ["/api/redrive", {}],
  ["/api/reconcile", { dry_run: true }],
  ["/api/try", { type: "user.created", body: null, mode: "once", count: 1 }],
  ["/api/session-token", { sub: "user_1" }],
];

/** A request with headers that `fetch` would not send. */
async function raw(
  origin: string,
  head: readonly string[],
): Promise<{ readonly status: number; readonly text: string }> {
  const { hostname, port } = new URL(origin);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const request = [...head, "connection: close", "", ""].join("\r\n");
  await connection.write(new TextEncoder().encode(request));
  const text = await new Response(connection.readable).text();
  return { status: Number(text.split(" ")[1]), text };
}

stackTest("the console answers nobody without the token of this run", async (stack) => {
  await withConsole(stack, async ({ origin, token, console }) => {
    const wrong = `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`;

    const answers = await Promise.all(
      [undefined, `Bearer ${wrong}`, "Bearer ", token, `Basic ${token}`].flatMap((authorization) =>
        [...GET, "/api/stream", "/api/none"].map(async (path) => {
          const headers = authorization === undefined ? {} : { authorization };
          const response = await fetch(`${origin}${path}`, { headers });
          if (response.ok) {
            await response.body?.cancel();
            return path;
          }
          return [response.status, Object.keys(await response.json())].join();
        })
      ),
    );
    const right = await fetch(`${origin}/api/project`, {
      headers: { authorization: `Bearer ${token}` },
    });
    await right.body?.cancel();

    assertEquals([...new Set(answers)], ["401,error"]);
    assertEquals(right.status, 200);
    assertMatch(token, /^[\w-]{43}$/);
    assertMatch(console.url, /^http:\/\/127\.0\.0\.1:\d+\/#token=[\w-]{43}$/);
    await withConsole(stack, (other) => {
      assertNotEquals(other.token, token);
      return Promise.resolve();
    });
  });
});

stackTest("the console refuses other sites, also those whose name leads to it", async (stack) => {
  await withConsole(stack, async ({ origin, token }) => {
    const { host, port } = new URL(origin);
    const own = [`host: ${host}`, `authorization: Bearer ${token}`];
    const get = "GET /api/project HTTP/1.1";
    const refused = [
      [`host: evil.example:${port}`, own[1] ?? ""],
      [`host: 127.0.0.1`, own[1] ?? ""],
      [...own, "origin: https://evil.example"],
      ["host: [", own[1] ?? ""],
      [...own, "origin: null"],
      [...own, `origin: https://${host}`],
      [...own, "sec-fetch-site: cross-site"],
    ];
    const allowed = [
      own,
      [`host: localhost:${port}`, own[1] ?? ""],
      [...own, `origin: http://${host}`, "sec-fetch-site: same-origin"],
    ];

    for (const head of refused) {
      for (const line of [get, "GET / HTTP/1.1", "GET /main.js HTTP/1.1"]) {
        const { status, text } = await raw(origin, [line, ...head]);
        assertEquals(status, 403, head.join());
        assert(!/access-control/i.test(text));
      }
    }
    for (const head of allowed) assertEquals((await raw(origin, [get, ...head])).status, 200);
  });
});

stackTest("the console is reached on loopback only, and by the methods it has", async (stack) => {
  await withConsole(stack, async ({ origin, fetch: ask }) => {
    const answers = await Promise.all(
      ([
        ["POST", "/api/status"],
        ["DELETE", "/api/messages/msg_1"],
        ["GET", "/api/replay"],
        ["PUT", "/api/redrive"],
        ["OPTIONS", "/api/status"],
        ["POST", "/"],
      ] as const).map(async ([method, path]) => {
        const response = await ask(path, { method });
        await response.body?.cancel();
        return [response.status, response.headers.get("allow") ?? ""];
      }),
    );
    const none = await Promise.all(
      ["/api/none", "/api/status/x", "/api/", "/nothing.html", "/../api.ts", "/%2e%2e/api.ts"]
        .map(async (path) => {
          const response = await ask(path);
          await response.body?.cancel();
          return response.status;
        }),
    );

    assertEquals(answers, [
      [405, "GET"],
      [405, "GET"],
      [405, "POST"],
      [405, "POST"],
      [405, "GET"],
      [405, "GET, HEAD"],
    ]);
    assertEquals([...new Set(none)], [404]);
    const others = Deno.networkInterfaces()
      .filter(({ family, address }) => family === "IPv4" && !address.startsWith("127."));
    for (const { address } of others) {
      const there = await Deno.connect({ hostname: address, port: Number(new URL(origin).port) })
        .then((connection) => connection.close(), () => "refused");
      assertEquals(there, "refused");
    }
  });
});

stackTest(
  "no secret is in any answer or header of the console, nor what a caller sent wrong",
  async (stack) => {
    await stack.send(anEvent("user.created", aClerkUser({ id: "user_1" })), { id: "msg_1" });
    const { keys, databaseUrl, signingSecret } = stack.services;
    await using api = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => Response.json({ errors: [{ code: "authorization_invalid" }] }, { status: 401 }),
    );
    const clerk = {
      secretKey: ["sk", "test", "of", "nobody"].join("_"),
      apiUrl: `http://127.0.0.1:${api.addr.port}`,
    };
    const secrets = [
      keys.secret,
      keys.clerkIngest,
      keys.clerkWorker,
      keys.workerSecret,
      keys.tokenKey.split("\n")[1] ?? "",
      new URL(databaseUrl).password,
      signingSecret,
      clerk.secretKey,
    ];

    await withConsole(stack, async ({ fetch: ask, token }) => {
      const texts: string[] = [];
      const keep = async (response: Response): Promise<void> => {
        texts.push([...response.headers].join("\n"), await response.text());
      };
      for (const path of [...GET, "/", "/main.js", "/main.css", "/api/none"]) {
        await keep(await ask(path));
      }
      for (const [path, json] of POST) {
        await keep(await ask(path, { json }));
        await keep(await ask(path, { json: { surprise: "ada@example.com" } }));
      }

      assertEquals(secrets.filter((secret) => secret.length < 16), []);
      for (const secret of [...secrets, token]) {
        assertEquals(texts.filter((text) => text.includes(secret)), []);
      }
      assert(
        texts.some((text) => text.includes(keys.publishable)),
        "control: the page gets this key",
      );
      assert(texts.some((text) => text.includes("user_1")), "control: it gets what is stored");
      assertEquals(texts.filter((text) => text.includes("surprise")), []);
    }, { clerk });
  },
);

stackTest(
  "every answer of the console has the headers that keep the page to itself",
  async (stack) => {
    const expected = (connect: string): Record<string, string> => ({
      "content-security-policy":
        `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
    });
    for (
      const [connect, options] of [
        [` ${stack.services.apiUrl}`, {}],
        ["", { local: undefined }],
      ] as [string, Partial<ConsoleProject>][]
    ) {
      await withConsole(stack, async ({ fetch: ask }) => {
        for (const path of ["/", "/main.js", "/main.css", "/api/status", "/api/none", "/none"]) {
          const response = await ask(path);
          await response.body?.cancel();
          const found = Object.keys(expected("")).map((name) => [name, response.headers.get(name)]);
          assertEquals(Object.fromEntries(found), expected(connect), path);
          assert(![...response.headers.keys()].some((name) => name.startsWith("access-control")));
        }
      }, options as Partial<ConsoleProject>);
    }
  },
);
