import { assert, assertMatch, assertNotEquals } from "@std/assert";
import { runSupabase, supabaseCli } from "../../cli/supabase_cli.ts";

Deno.test("a command of the Supabase CLI that takes too long is ended, and its errors say so", async () => {
  // What listens there never answers.
  using proxy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = {
    SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
    HTTPS_PROXY: `http://127.0.0.1:${proxy.addr.port}`,
  };

  const { code, stderr } = await runSupabase(["projects", "list"], {
    cwd: ".",
    env,
    patience: 1_500,
  });

  assertNotEquals(code, 0);
  assertMatch(stderr, /It was ended after 1\.5 s\.$/);
});

Deno.test("the Supabase CLI reaches Supabase through the proxy of the environment", async () => {
  await supabaseCli();
  const proxy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: string[] = [];
  const asking = (async () => {
    for await (const connection of proxy) {
      const bytes = new Uint8Array(200);
      const length = await connection.read(bytes).catch(() => null);
      asked.push(new TextDecoder().decode(bytes.subarray(0, length ?? 0)).split("\r\n")[0] ?? "");
      connection.close();
    }
  })();
  const before = Deno.env.get("HTTPS_PROXY");
  Deno.env.set("HTTPS_PROXY", `http://127.0.0.1:${proxy.addr.port}`);
  try {
    const env = { SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}` };
    const { code } = await runSupabase(["projects", "list"], { cwd: ".", env, patience: 60_000 });

    assertNotEquals(code, 0);
    // Deno itself asks the proxy, too.
    assert(asked.includes("CONNECT api.supabase.com:443 HTTP/1.1"), asked.join());
  } finally {
    proxy.close();
    await asking;
    if (before === undefined) Deno.env.delete("HTTPS_PROXY");
    else Deno.env.set("HTTPS_PROXY", before);
  }
});
