import { assertEquals, assertMatch } from "@std/assert";
import { adviceOn } from "../../operations/outcome_advice.ts";
import { reasonFor } from "../../operations/replay.ts";
import { databaseSentence } from "../../operations/sentence.ts";

const TROUBLES: Readonly<Record<string, RegExp>> = {
  "25006": /accepts no writes, as it does when its disk is full/,
  "53100": /disk of the database is full/,
  "53300": /no connection left/,
  "55P03": /another session holds a lock/,
  "57014": /ran out of time, because another session holds a lock or the database is slow/,
  PGRST003: /no connection to the database left/,
};

Deno.test("what a database cannot do now is said with its cause, and the network is not blamed", () => {
  for (const [code, why] of Object.entries(TROUBLES)) {
    for (
      const [isStart, begin] of [[true, "Cannot start as "], [false, "Cannot go on as "]] as const
    ) {
      const sentence = databaseSentence(code, isStart);

      assertEquals(sentence.startsWith(begin), true);
      assertMatch(sentence, why);
      // Why and what to do are told apart by the one colon.
      assertMatch(sentence, new RegExp(`^[^:]+ \\(${code}\\): [^:]+$`));
      assertEquals(/network|SUPABASE_URL/.test(sentence), false);
    }
  }
  assertMatch(databaseSentence("no_answer", true), /check SUPABASE_URL and the network$/);
});

Deno.test("send and replay say of a lock, a full disk and a slow database what they are", () => {
  const sending = { url: "http://127.0.0.1:1", secret: undefined, stored: undefined };
  const stored = { objectId: "user_a", instance: null, ownInstance: null, isDeleted: false };

  for (const [sqlstate, why] of Object.entries(TROUBLES)) {
    const [cause, next] = adviceOn("failed", { ...stored, sqlstate }, sending);

    assertMatch(cause, why);
    assertEquals(/trigger or constraint/.test(next), false);
    assertMatch(next, /^[A-Z].*; clerk_sync\.inbox keeps this one for `deno task replay`$/);
    assertMatch(reasonFor({ outcome: "failed", sqlstate }), why);
  }
  assertMatch(
    adviceOn("failed", { ...stored, sqlstate: "23514" }, sending)[1],
    /^Fix the trigger or constraint/,
  );
});
