import { primaryEmail, type UserEvent } from "./clerk_user.ts";
import { database } from "./database.ts";
import { verified } from "./verified.ts";

// The handler with a table of processed events: claim the id, do the work, mark it as processed. A
// processed event is not repeated; one that was claimed by a run that died is. Three requests per event.

export default {
  fetch: async (request: Request): Promise<Response> => {
    const message = await verified(request);
    if (message === undefined) return new Response("Cannot verify", { status: 400 });
    const { id, event } = message;

    const events = database.from("processed_events");
    const claim = await events.insert({ event_id: id, type: event.type });
    if (claim.error !== null) {
      if (claim.error.code !== "23505") return answer(claim.error);
      const { data, error } = await events.select("status").eq("event_id", id).maybeSingle();
      if (error !== null) return answer(error);
      if (data?.status === "processed") return answer(null);
    }

    const { error } = await work(event);
    if (error !== null) return answer(error);

    const done = { status: "processed", processed_at: new Date().toISOString() };
    return answer((await events.update(done).eq("event_id", id)).error);
  },
};

async function work({ type, data }: UserEvent): Promise<{ error: unknown }> {
  const users = database.from("users");
  switch (type) {
    case "user.created":
    case "user.updated":
      return await users.upsert({
        id: data.id,
        email: primaryEmail(data),
        first_name: data.first_name,
        last_name: data.last_name,
        image_url: data.image_url,
        updated_at: new Date().toISOString(),
      });
    case "user.deleted":
      return await users.delete().eq("id", data.id);
    default:
      return { error: null };
  }
}

function answer(error: unknown): Response {
  return error === null
    ? new Response("OK")
    : new Response("Cannot write to the database", { status: 500 });
}
