import { assertEquals } from "@std/assert";
import { hostedDeno } from "../../../bench/hosted_deno.ts";
import { stackTest, type TestStack } from "../../test_stack.ts";
import { lastLog } from "./last_log.ts";

// People write their metadata in the browser, up to 8 kB of any JSON. It never decides whether the rest
// of an event applies, and it arrives as it was written.

const ADA = "user_ada";

/** A ban with this metadata, as JSON text. Each is newer than the one before. */
let version = Date.now();
function aBan(metadata: string): string {
  version++;
  return `{"type":"user.updated","object":"event","timestamp":${version},"data":{"id":"${ADA}",` +
    `"object":"user","banned":true,"updated_at":${version},"public_metadata":{"a":${metadata}},` +
    `"unsafe_metadata":{"a":${metadata}}}}`;
}

/** Objects, arrays, and both in turn, around the deepest value. */
function nests(depth: number): string[] {
  const pairs = depth / 2;
  return [
    `${'{"a":'.repeat(depth)}7${"}".repeat(depth)}`,
    `${"[".repeat(depth)}${"]".repeat(depth)}`,
    `${'{"a":['.repeat(pairs)}9007199254740993${"]}".repeat(pairs)}`,
    `${'[{"a":'.repeat(pairs)}"\\u0000"${"}]".repeat(pairs)}`,
  ];
}

/** The metadata in the row and in the inbox, as Postgres writes them, without white space. */
async function stored({ database }: TestStack): Promise<unknown> {
  const [row] = await database.sql`
    select
      banned,
      replace(public_metadata ->> 'a', ' ', '') as shown,
      replace(unsafe_metadata ->> 'a', ' ', '') as unsafe,
      (
        select replace(payload #>> '{data,unsafe_metadata,a}', ' ', '')
        from clerk_sync.inbox order by received_at desc limit 1
      ) as kept
    from public.profiles where id = ${ADA}
  `;
  return { ...row };
}

/** The same metadata as PostgREST's clients get it: the text of the response, without white space. */
async function answered({ services }: TestStack): Promise<string> {
  const response = await fetch(
    `${services.apiUrl}/rest/v1/profiles?select=public_metadata&id=eq.${ADA}`,
    { headers: { apikey: services.keys.secret } },
  );
  return (await response.text()).replaceAll(" ", "");
}

for (const [runtime, deno] of [["today's Deno", undefined], ["Deno 2.1.4", await hostedDeno()]]) {
  const options = deno === undefined ? {} : { deno };

  stackTest(
    `metadata that nests as deep as it can applies with the ban, on ${runtime}`,
    async (stack) => {
      for (const depth of [98, 4_090, 4_996]) {
        for (const metadata of nests(depth)) {
          assertEquals((await stack.send(aBan(metadata))).outcome, "applied");

          const expected = metadata.replace("\\u0000", "\u{FFFD}");
          assertEquals(await stored(stack), {
            banned: true,
            shown: expected,
            unsafe: expected,
            kept: expected,
          });
          assertEquals(await answered(stack), `[{"public_metadata":{"a":${expected}}}]`);
        }
      }
    },
    options,
  );

  stackTest(`deeper than 5,000 levels is unreadable and kept, on ${runtime}`, async (stack) => {
    for (const metadata of nests(4_998)) {
      const body = aBan(metadata);

      const { status, outcome } = await stack.send(body, { id: "msg_deep" });

      const [kept] = await stack.database.sql`
        delete from clerk_sync.inbox where message_id = 'msg_deep'
        returning outcome, payload ->> 'raw' as raw, error
      `;
      assertEquals([status, outcome], [422, "unreadable"]);
      assertEquals([kept?.outcome, kept?.raw], ["unreadable", body.replace("\0", "\u{FFFD}")]);
    }
    assertEquals((await stack.send(aBan("1"))).outcome, "applied");
  }, options);

  stackTest(
    `numbers of any size arrive in the digits that were sent, on ${runtime}`,
    async (stack) => {
      const numbers = [
        "9007199254740993",
        "-12345678901234567890",
        "0.1234567890123456789",
        "123456789.12345678901234567",
        "0.10",
        `1${"0".repeat(400)}`,
        `0.${"0".repeat(399)}1`,
      ];
      // Postgres writes exponents out.
      const sent = [...numbers.slice(0, -2), "1e400", "1E-400"];

      const { outcome } = await stack.send(aBan(`[${sent}]`));

      assertEquals(outcome, "applied");
      const expected = `[${numbers}]`;
      assertEquals(await stored(stack), {
        banned: true,
        shown: expected,
        unsafe: expected,
        kept: expected,
      });
      assertEquals(await answered(stack), `[{"public_metadata":{"a":${expected}}}]`);
    },
    options,
  );

  stackTest(
    `numbers with four or more digits in the exponent arrive as texts, on ${runtime}`,
    async (stack) => {
      const { outcome } = await stack.send(aBan(`[1,1e5000,-1E+999999999,2.50e-20000,"1e5000"]`));

      assertEquals(outcome, "applied");
      const expected = `[1,"1e5000","-1E+999999999","2.50e-20000","1e5000"]`;
      assertEquals(await stored(stack), {
        banned: true,
        shown: expected,
        unsafe: expected,
        kept: expected,
      });
    },
    options,
  );
}

stackTest("a text that Postgres cannot read as JSON is unreadable and kept", async (stack) => {
  const body = aBan("9".repeat(140_000));

  const { status, outcome } = await stack.send(body, { id: "msg_digits" });

  const [kept] = await stack.database.sql`
    select outcome, error, payload ->> 'raw' = ${body} as is_whole from clerk_sync.inbox
    where message_id = 'msg_digits'
  `;
  const issues = [{ path: "", code: "not_storable" }];
  assertEquals([status, outcome], [422, "unreadable"]);
  assertEquals({ ...kept }, { outcome: "unreadable", error: { issues }, is_whole: true });
  assertEquals((await lastLog(stack, 1)).issues, issues);
});
