import { assertEquals } from "@std/assert";
import { aClerkUser, anEvent } from "../../local/clerk/events.ts";
import { databaseTest, ingestWithin } from "../test_database.ts";

// I2: what is acknowledged is durable. With synchronous_commit = off, which a function, a role or a
// database can set, a commit returns before its log is written.

databaseTest("a delivery commits with synchronous_commit on", async (database) => {
  const webhook = database.connect(1);

  const settings = await webhook.begin(async (transaction) => {
    await ingestWithin(transaction, "msg_1", anEvent("user.created", aClerkUser()));
    const ingested = await transaction`show synchronous_commit`;
    await transaction`select public.record_clerk_rejection('msg_2', null, '[]', '{"raw": "["}')`;
    const rejected = await transaction`show synchronous_commit`;
    return [...ingested, ...rejected].map(({ synchronous_commit }) => synchronous_commit);
  });

  assertEquals(settings, ["on", "on"]);
});
