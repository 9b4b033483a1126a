import { assert, assertEquals, assertGreater, assertLessOrEqual, assertRejects } from "@std/assert";
import {
  ClerkApiError,
  createClerkApi,
} from "../../../../functions/clerk-worker/reconcile/clerk_api.ts";
import type { Kind } from "../../../../functions/clerk-worker/reconcile/kinds.ts";
import {
  type Cursor,
  FIRST,
  idsIn,
  listPages,
} from "../../../../functions/clerk-worker/reconcile/pages.ts";
import { anInstance, type ClerkApiServer, serveClerkApi } from "../../../clerk_api/clerk_api.ts";

const OPTIONS = { size: 20, inFlight: 3 };

interface Listed {
  readonly ids: string[];
  readonly cursors: (Cursor | null)[];
}

/** Lists a kind; `onPage` happens between two pages. */
async function list(
  clerk: ClerkApiServer,
  kind: Kind,
  { from = FIRST, inFlight = OPTIONS.inFlight, onPage = () => {} }: {
    from?: Cursor;
    inFlight?: number;
    onPage?: (page: number) => void;
  } = {},
): Promise<Listed> {
  const api = createClerkApi({ secretKey: clerk.secretKey, apiUrl: clerk.url });
  const ids: string[] = [];
  const cursors: (Cursor | null)[] = [];
  for await (const page of listPages(api, kind, from, { ...OPTIONS, inFlight })) {
    ids.push(...idsIn(page.objects));
    cursors.push(page.next);
    onPage(cursors.length);
  }
  return { ids, cursors };
}

function idsOf(objects: readonly { id: string }[]): string[] {
  return objects.map(({ id }) => id);
}

Deno.test("users are listed by cursor, each once, and from any page on", async () => {
  const instance = anInstance({ users: 60 });
  await using clerk = serveClerkApi(instance);

  const all = await list(clerk, "user");
  const [first] = all.cursors;
  const later = await list(clerk, "user", { from: first ?? FIRST });

  assertEquals(all.ids, idsOf(instance.user));
  assertEquals(later.ids, idsOf(instance.user).slice(20));
  assert(clerk.asked.every((path) => !path.includes("offset")));
});

Deno.test("users who are deleted meanwhile hide nobody, not even if one of them is the cursor", async () => {
  const instance = anInstance({ users: 100 });
  await using clerk = serveClerkApi(instance);
  const cursors: string[] = [];
  clerk.onRequest = ({ searchParams }) => {
    const cursor = searchParams.get("starting_after");
    if (cursor === null) return;
    cursors.push(cursor);
    // The second cursor is deleted before it is asked for, and the one before it, too.
    if (cursors.length === 2) instance.user.splice(38, 2);
  };

  const { ids } = await list(clerk, "user");

  assertEquals(idsOf(instance.user).filter((id) => !ids.includes(id)), []);
  assertEquals([ids.length, new Set(ids).size], [100, 100]);
  assertEquals(cursors.length, 7);
});

Deno.test("other kinds are listed in pages that overlap, several at once, and each object once", async () => {
  const instance = anInstance({ users: 90, organizations: 9, memberships: 400 });
  await using clerk = serveClerkApi(instance);
  clerk.onRequest = () => new Promise((resolve) => setTimeout(resolve, 10));

  const { ids } = await list(clerk, "membership");

  assertEquals(ids, idsOf(instance.membership));
  assert(clerk.asked.some((path) => path.endsWith("&limit=20&offset=19")));
  assertGreater(clerk.mostAtOnce(), 1);
  assertLessOrEqual(clerk.mostAtOnce(), 3);
});

Deno.test("memberships that shift by more than the overlap are listed again", async () => {
  const instance = anInstance({ users: 90, organizations: 9, memberships: 200 });
  await using clerk = serveClerkApi(instance);

  const { ids, cursors } = await list(clerk, "membership", {
    inFlight: 1,
    onPage: (page) => {
      if (page === 2) instance.membership.splice(0, 30);
      // As many as before, so that the total is no help.
      if (page === 2) {
        instance.membership.push(
          ...anInstance({ users: 30, organizations: 1, memberships: 30 }).membership,
        );
      }
    },
  });

  assertEquals(idsOf(instance.membership).filter((id) => !ids.includes(id)), []);
  assertEquals(Math.max(...cursors.map((cursor) => cursor?.passes ?? 0)), 1);
});

Deno.test("a list is read again when its total has moved, but not for ever", async () => {
  const instance = anInstance({ users: 90, organizations: 9, memberships: 50 });
  await using clerk = serveClerkApi(instance);

  const once = await list(clerk, "membership", {
    onPage: (page) => page === 1 && instance.membership.pop(),
  });
  const always = await list(clerk, "membership", { onPage: () => instance.membership.pop() });

  assertEquals(once.cursors.filter((cursor) => cursor?.offset === 0).length, 1);
  assertEquals(always.cursors.filter((cursor) => cursor?.offset === 0).length, 2);
});

Deno.test("a page that comes again ends the list with a sentence", async () => {
  await using clerk = serveClerkApi(anInstance({ users: 60, organizations: 60 }));
  const api = createClerkApi({ secretKey: clerk.secretKey, apiUrl: clerk.url });
  const answers: Record<string, Response> = {};
  for (const path of ["/users?limit=20", "/organizations?limit=20"]) {
    const answer = await fetch(`${clerk.url}/v1${path}`, {
      headers: { authorization: `Bearer ${clerk.secretKey}` },
    });
    answers[path.split("?")[0] ?? ""] = answer;
  }
  // Whatever it is asked for.
  clerk.onRequest = ({ pathname }) => answers[pathname.replace("/v1", "")]?.clone();

  for (
    const [kind, parameter] of [["user", "starting_after"], ["organization", "offset"]] as const
  ) {
    const error = await assertRejects(async () => {
      for await (const page of listPages(api, kind, FIRST, { ...OPTIONS, inFlight: 1 })) {
        assertEquals(page.objects.length, 20);
      }
    }, ClerkApiError);
    assertEquals(
      error.message,
      `Cannot list objects of kind ${kind} as Clerk's API gives the same page again: try again later, or check that what CLERK_API_URL names heeds ${parameter}`,
    );
  }
});

Deno.test("a list without objects ends with its first page", async () => {
  await using clerk = serveClerkApi(anInstance({ users: 0 }));

  for (const kind of ["user", "membership"] as const) {
    assertEquals(await list(clerk, kind), { ids: [], cursors: [null] });
  }
});

Deno.test("an instance without organizations has none to list", async () => {
  await using clerk = serveClerkApi(anInstance({ users: 1 }));
  clerk.onRequest = () =>
    Response.json({ errors: [{ code: "organization_not_enabled_in_instance" }] }, { status: 403 });

  assertEquals((await list(clerk, "organization")).ids, []);
});
