import { primaryEmail } from "./clerk_user.ts";
import { database } from "./database.ts";
import { verified } from "./verified.ts";

// The handler that first looks for the row. A second delivery of user.created updates it instead of
// failing. Two requests per event.

export default {
  fetch: async (request: Request): Promise<Response> => {
    const message = await verified(request);
    if (message === undefined) return new Response("Cannot verify", { status: 400 });
    const { type, data } = message.event;
    if (!["user.created", "user.updated", "user.deleted"].includes(type)) return answer(null);

    const users = database.from("users");
    const { data: existing, error } = await users.select("id").eq("id", data.id).maybeSingle();
    if (error !== null) return answer(error);

    if (type === "user.deleted") {
      if (existing === null) return answer(null);
      return answer((await users.delete().eq("id", data.id)).error);
    }
    const row = {
      email: primaryEmail(data),
      first_name: data.first_name,
      last_name: data.last_name,
      image_url: data.image_url,
      updated_at: new Date().toISOString(),
    };
    return existing === null
      ? answer((await users.insert({ id: data.id, ...row })).error)
      : answer((await users.update(row).eq("id", data.id)).error);
  },
};

function answer(error: unknown): Response {
  return error === null
    ? new Response("OK")
    : new Response("Cannot write to the database", { status: 500 });
}
