import { assertEquals } from "@std/assert";
import { aClerkUser, aDeletedClerkUser, anEvent } from "../../../local/clerk/events.ts";
import { hostedDeno } from "../../../bench/hosted_deno.ts";
import { stackTest } from "../../test_stack.ts";

// Hosted Supabase runs functions on Deno 2.1.4. The same files, unchanged, on that runtime.

const ADA = "user_ada";

stackTest("the webhook does its work on Deno 2.1.4", async (stack) => {
  const at = Date.now();
  const user = aClerkUser({ id: ADA, first_name: "A\0da", updated_at: at });

  const receipts = [
    await stack.send(anEvent("user.created", user), { id: "msg_1" }),
    await stack.send(anEvent("user.created", user), { id: "msg_1" }),
    await stack.send(anEvent("user.updated", { ...user, updated_at: at - 1 })),
    await stack.send("[".repeat(50_000)),
    await stack.send("x".repeat(1024 * 1024 + 1)),
    await stack.send(anEvent("user.deleted", aDeletedClerkUser(ADA))),
  ];

  assertEquals(receipts.map(({ outcome }) => outcome), [
    "applied",
    "duplicate",
    "stale",
    "unreadable",
    "too_large",
    "applied",
  ]);
}, { deno: await hostedDeno() });
