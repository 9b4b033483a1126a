import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { aClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { type EdgeFunction, startEdgeFunction } from "../../../local/functions/edge_function.ts";
import { StartError } from "../../../local/start_error.ts";
import { aSigningSecret } from "../../../local/clerk/signing_secret.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";
import { lastLog } from "./last_log.ts";

// The function as a process: its environment, its permissions, its runtime.

const EVENT = anEvent("user.created", aClerkUser());

const SOUND: Readonly<Record<string, string>> = {
  SUPABASE_URL: "http://127.0.0.1:9",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_made_up"}',
  CLERK_WEBHOOK_SIGNING_SECRET: aSigningSecret(),
};

function start(env: Record<string, string>, log: string[] = []): Promise<EdgeFunction> {
  const apiHost = URL.parse(env.SUPABASE_URL ?? "")?.host ?? "127.0.0.1:9";
  return startEdgeFunction({
    name: "clerk-webhook",
    env,
    reaches: [apiHost],
    onLog: (line) => log.push(line),
  });
}

const BROKEN: [string, Record<string, string>][] = [
  ["SUPABASE_URL", { SUPABASE_URL: "" }],
  ["SUPABASE_URL", { SUPABASE_URL: "not a url" }],
  ["SUPABASE_SECRET_KEYS", { SUPABASE_SECRET_KEYS: "" }],
  ["SUPABASE_SECRET_KEYS", { SUPABASE_SECRET_KEYS: "sb_secret_made_up" }],
  ["CLERK_WEBHOOK_SIGNING_SECRET", { CLERK_WEBHOOK_SIGNING_SECRET: " " }],
  ["CLERK_WEBHOOK_SIGNING_SECRET", { CLERK_WEBHOOK_SIGNING_SECRET: "whsec_???" }],
  ["CLERK_WEBHOOK_SIGNING_SECRET", { CLERK_WEBHOOK_SIGNING_SECRET: "changeme" }],
  ["CLERK_WEBHOOK_SIGNING_SECRET", { CLERK_WEBHOOK_SIGNING_SECRET: "whsec_AA==" }],
];

for (const [variable, broken] of BROKEN) {
  Deno.test(`${JSON.stringify(broken)} stops the function at boot, with a sentence`, async () => {
    const log: string[] = [];

    const error = await assertRejects(() => start({ ...SOUND, ...broken }, log), StartError);

    assertMatch(error.message, new RegExp(`Cannot start as [^]*${variable}`));
    assertEquals(/\n\s+at /.test(log.join("\n")), false);
  });
}

stackTest("a missing variable stops the function at boot, with a sentence", async () => {
  for (const variable of Object.keys(SOUND)) {
    const { [variable]: _, ...env } = SOUND;

    const error = await assertRejects(() => start(env), StartError);

    assertMatch(error.message, new RegExp(`Cannot start as [^]*${variable}`));
  }
});

function environmentOf(
  { services }: TestStack,
  keys: Record<string, string>,
): Record<string, string> {
  return {
    SUPABASE_URL: services.apiUrl,
    SUPABASE_SECRET_KEYS: JSON.stringify(keys),
    CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
  };
}

stackTest(
  "the all-powerful key is used if there is no other, and the log says so once",
  async (stack) => {
    const log: string[] = [];
    await using webhook = await start(
      environmentOf(stack, { default: stack.services.keys.secret }),
      log,
    );

    for (let number = 0; number < 3; number++) {
      const { outcome } = await stack.send(anEvent("user.created", aClerkUser()), {
        url: webhook.url,
      });
      assertEquals(outcome, "applied");
    }

    await lastLog({ log }, 4);
    assertEquals(log.filter((line) => line.includes("all-powerful")).length, 1);
  },
);

stackTest("the key that the stack gives the webhook can do nothing but ingest", async (stack) => {
  const { apiUrl, keys } = stack.services;
  await stack.send(EVENT);
  const headers = { apikey: keys.clerkIngest, "content-type": "application/json" };

  const reads = await fetch(`${apiUrl}/rest/v1/profiles`, { headers });
  const ingests = await fetch(`${apiUrl}/rest/v1/rpc/ingest_clerk_event`, {
    method: "POST",
    headers,
    body: JSON.stringify({ message_id: "msg_1", event: EVENT }),
  });

  assertEquals(reads.ok, false);
  assertEquals((await reads.json()).code, "42501");
  assertEquals((await ingests.json()).outcome, "stale");
});

stackTest("a delivery costs one request to PostgREST, a deadlock one more", async (stack) => {
  const paths: string[] = [];
  await using proxy = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => {
      const { pathname } = new URL(request.url);
      paths.push(pathname);
      const { method, headers, body } = request;
      return fetch(`${stack.services.apiUrl}${pathname}`, { method, headers, body });
    },
  );
  const env = {
    ...environmentOf(stack, { clerk_ingest: stack.services.keys.clerkIngest }),
    SUPABASE_URL: `http://127.0.0.1:${proxy.addr.port}`,
  };
  await using webhook = await start(env);
  const { sql } = stack.database;
  const ingest = "/rest/v1/rpc/ingest_clerk_event";

  await stack.send(EVENT, { url: webhook.url });
  assertEquals(paths.splice(0), [ingest]);

  await stack.send("{oops", { url: webhook.url });
  assertEquals(paths.splice(0), ["/rest/v1/rpc/record_clerk_rejection"]);

  await sql.unsafe(`
    create sequence public.tries;
    create function public.collide() returns trigger language plpgsql security definer as
      $$ begin
        if nextval('public.tries') = 1 then raise exception using errcode = '40P01'; end if;
        return new;
      end $$;
    create trigger _200_collide before insert on public.profiles
      for each row execute function public.collide();
  `);
  await stack.send(anEvent("user.created", aClerkUser()), { url: webhook.url });
  assertEquals(paths, [ingest, ingest]);
});

stackTest("a database that never answers is unavailable after 12 seconds", async (stack) => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using webhook = await start({
    ...environmentOf(stack, { clerk_ingest: "sb_secret_made_up" }),
    SUPABASE_URL: `http://127.0.0.1:${port}`,
  });

  // The fastest of three, because the machine may have other work. Svix gives up after 15 s.
  const seconds: number[] = [];
  while (seconds.length < 3 && !seconds.some((each) => each < 15)) {
    const started = performance.now();
    const receipt = await stack.send(EVENT, { url: webhook.url });
    seconds.push((performance.now() - started) / 1000);
    assertEquals([receipt.status, receipt.outcome], [503, "unavailable"]);
  }

  listener.close();
  assert(Math.min(...seconds) > 11 && Math.min(...seconds) < 15, `${seconds} s`);
});

stackTest("an unreachable database is unavailable at once", async (stack) => {
  await using webhook = await start({
    ...environmentOf(stack, { clerk_ingest: "sb_secret_made_up" }),
    SUPABASE_URL: "http://127.0.0.1:9",
  });

  const receipt = await stack.send(EVENT, { url: webhook.url });

  assertEquals([receipt.status, receipt.outcome], [503, "unavailable"]);
});
