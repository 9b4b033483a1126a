import { database } from "./database.ts";
import { verified } from "./verified.ts";

// The handler from the guides: verify, then insert, update or delete. One request per event. Duplicates
// and disorder are ignored.

export default {
  fetch: async (request: Request): Promise<Response> => {
    const message = await verified(request);
    if (message === undefined) return new Response("Cannot verify", { status: 400 });
    const { type, data } = message.event;

    const row = {
      email: data.email_addresses?.[0]?.email_address,
      first_name: data.first_name,
      last_name: data.last_name,
      image_url: data.image_url,
    };
    switch (type) {
      case "user.created": {
        const { error } = await database.from("users").insert({ id: data.id, ...row });
        return answer(error);
      }
      case "user.updated": {
        const { error } = await database.from("users").update(row).eq("id", data.id);
        return answer(error);
      }
      case "user.deleted": {
        const { error } = await database.from("users").delete().eq("id", data.id);
        return answer(error);
      }
      default:
        return answer(null);
    }
  },
};

function answer(error: unknown): Response {
  return error === null
    ? new Response("OK")
    : new Response("Cannot write to the database", { status: 500 });
}
