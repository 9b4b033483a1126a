import { isJsonObject, type Json } from "../../_shared/clerk_sync/json.ts";
import type { ClerkApi } from "./clerk_api.ts";
import type { Kind } from "./kinds.ts";
import { readPage } from "./page_text.ts";
import { idsIn } from "./pages.ts";
import type { Surplus } from "./snapshots.ts";

/** How old the proof may be that Clerk's answers can be trusted, ms. */
const MINUTE = 60_000;
const TRIES = 3;

/**
 * Asks Clerk for each object, and returns the ids of those that it still has, or may have.
 *
 * Absence proves nothing by itself: a proxy answers 404, too. So in the same minute, before and after,
 * Clerk must find an object that it has just listed.
 *
 * @param witnesses objects of the kind that Clerk listed
 * @returns undefined when it finds none of the witnesses
 */
export async function stillAtClerk(
  api: ClerkApi,
  kind: Kind,
  objects: readonly Surplus[],
  witnesses: readonly Surplus[],
): Promise<ReadonlySet<string> | undefined> {
  const findsWitness = async (): Promise<boolean> => {
    for (const witness of witnesses) if (await look(api, kind, witness) === "there") return true;
    return false;
  };

  for (let attempt = 0; attempt < TRIES; attempt++) {
    const began = Date.now();
    if (!await findsWitness()) return undefined;
    const answers = await Promise.all(objects.map((object) => look(api, kind, object)));
    if (!await findsWitness()) return undefined;
    if (Date.now() - began > MINUTE) continue;
    return new Set(objects.filter((_, at) => answers[at] !== "gone").map(({ id }) => id));
  }
  return undefined;
}

/** Clerk's own code for an object that it does not have. */
const NOT_FOUND = "resource_not_found";

/** Whether Clerk has an object. A membership is looked for in the list of its organization. */
async function look(
  api: ClerkApi,
  kind: Kind,
  { id, organization_id, user_id }: Surplus,
): Promise<"there" | "gone" | "unknown"> {
  if (kind === "membership") {
    if (!organization_id || !user_id) return "unknown";
    const list = `/organizations/${encodeURIComponent(organization_id)}/memberships?user_id=${
      encodeURIComponent(user_id)
    }&limit=500`;
    const answer = await api.get(list, readPage);
    if (!("body" in answer)) return "unknown";
    return idsIn(answer.body.objects).includes(id) ? "there" : "gone";
  }

  const path = `/${kind === "user" ? "users" : "organizations"}/${encodeURIComponent(id)}`;
  const answer = await api.get(path, (body): Json => JSON.parse(body));
  if ("body" in answer) {
    return isJsonObject(answer.body) && answer.body.id === id ? "there" : "unknown";
  }
  return answer.status === 404 && answer.code === NOT_FOUND ? "gone" : "unknown";
}
