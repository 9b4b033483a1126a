import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  apiKey,
  ConfigurationError,
} from "../../../../functions/_shared/clerk_sync/configuration.ts";
import type { LogEntry } from "../../../../functions/_shared/clerk_sync/log.ts";

function reading(environment: Record<string, string>): (name: string) => string | undefined {
  return (name) => environment[name];
}

Deno.test("apiKey() prefers the function's own key, then the default, then the legacy one", () => {
  const legacy = { SUPABASE_SERVICE_ROLE_KEY: "legacy" };
  const platform = { ...legacy, SUPABASE_SECRET_KEYS: '{"default":"all"}' };
  const careful = { ...legacy, SUPABASE_SECRET_KEYS: '{"default":"all","clerk_ingest":"own"}' };

  const logs: LogEntry[][] = [[], [], []];
  const keys = [careful, platform, legacy].map((env, number) =>
    apiKey("clerk_ingest", reading(env), (entry) => logs[number]?.push(entry))
  );

  assertEquals(keys, ["own", "all", "legacy"]);
  // Only the all-powerful ones are warned of.
  assertEquals(logs.map((log) => log.map(({ level }) => level)), [[], ["warn"], ["warn"]]);
});

Deno.test("apiKey() names the variable that is missing or malformed, and quotes no secret", () => {
  for (const broken of [{}, { SUPABASE_SECRET_KEYS: "{}" }]) {
    const error = assertThrows(
      () => apiKey("clerk_ingest", reading(broken), () => {}),
      ConfigurationError,
      "SUPABASE_SECRET_KEYS",
    );
    assertStringIncludes(error.message, "SUPABASE_SERVICE_ROLE_KEY");
  }
  for (const text of ["hush", '["hush"]', '{"default":{"key":"hush"}}']) {
    const error = assertThrows(
      () => apiKey("clerk_ingest", reading({ SUPABASE_SECRET_KEYS: text }), () => {}),
      ConfigurationError,
      "SUPABASE_SECRET_KEYS",
    );
    assertEquals(`${error.message}${error.stack}`.includes("hush"), false);
  }
});
