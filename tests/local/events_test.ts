import { assert, assertEquals } from "@std/assert";
import type { JsonObject } from "../../local/clerk/events.ts";
import { compose } from "../../operations/compose.ts";

Deno.test("invented users differ in name and address, and an id has one name", async () => {
  const ids = Array.from({ length: 20 }, (_, number) => `user_${1000 + number}abcdef`);
  const invent = async (): Promise<JsonObject[]> =>
    await Promise.all(ids.map(async (user) => {
      const options = { type: "user.created", org: undefined, role: undefined, file: undefined };
      const { messages } = await compose({ ...options, user, set: [], count: 1 }, undefined);
      return JSON.parse(messages[0]?.body ?? "").data;
    }));
  const namesOf = (users: readonly JsonObject[]): string[] =>
    users.map(({ first_name, last_name }) => `${first_name} ${last_name}`);

  const once = await invent();
  const again = await invent();

  assertEquals(namesOf(once), namesOf(again));
  assert(new Set(namesOf(once)).size > 10, namesOf(once).join());
});
