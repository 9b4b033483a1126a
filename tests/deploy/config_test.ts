import { assertEquals, assertMatch } from "@std/assert";
import { runSupabase, type SupabaseAnswer } from "../../cli/supabase_cli.ts";
import { databaseTest } from "../test_database.ts";
import { type CheckoutCopy, copyCheckout } from "./checkout_copy.ts";

databaseTest(
  "config.toml is accepted in a fresh clone, where no variable is set",
  async ({ server, name }) => {
    await using checkout = await copyCheckout();

    const { code, stderr } = await anyCommand(checkout, server.url(name));

    assertEquals(code, 0);
    assertMatch(stderr, /^Target: .*\n$/);
  },
);

databaseTest(
  "config.toml takes Clerk's domain from CLERK_DOMAIN once third-party auth is switched on",
  async ({ server, name }) => {
    await using checkout = await copyCheckout();
    await switchThirdPartyAuthOn(checkout);

    const { code, stderr } = await anyCommand(checkout, server.url(name), {
      CLERK_DOMAIN: "example.clerk.accounts.dev",
    });

    assertEquals(code, 0);
    assertMatch(stderr, /^Target: .*\n$/);
  },
);

databaseTest(
  "config.toml with third-party auth on is refused without CLERK_DOMAIN, which is why it is off",
  async ({ server, name }) => {
    await using checkout = await copyCheckout();
    await switchThirdPartyAuthOn(checkout);

    const { code, stderr } = await anyCommand(checkout, server.url(name));

    assertEquals(code, 1);
    assertMatch(stderr, /auth\.third_party\.clerk has invalid domain/);
  },
);

async function switchThirdPartyAuthOn(checkout: CheckoutCopy): Promise<void> {
  const config = await Deno.readTextFile(`${checkout.folder}/supabase/config.toml`);
  await checkout.write({
    "supabase/config.toml": config.replace(
      "[auth.third_party.clerk]\nenabled = false",
      "[auth.third_party.clerk]\nenabled = true",
    ),
  });
}

/** Every command reads config.toml; this one changes nothing. */
async function anyCommand(
  checkout: CheckoutCopy,
  databaseUrl: string,
  env: Record<string, string> = {},
): Promise<SupabaseAnswer> {
  return await runSupabase(["migration", "list"], {
    cwd: checkout.folder,
    remote: databaseUrl,
    env,
  });
}
