import { createClient } from "@supabase/supabase-js";
import { Webhook } from "svix";
import { z } from "zod";

// The minimum for one delivery: each package used once, in one file, without checks of ours.

const webhook = new Webhook(Deno.env.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "");
const database = createClient(Deno.env.get("SUPABASE_URL") ?? "", "sb_secret_made_up");
const Event = z.object({ type: z.string(), data: z.looseObject({ id: z.string() }) });

export default {
  fetch: async (request: Request): Promise<Response> => {
    const body = await request.text();
    webhook.verify(body, Object.fromEntries(request.headers));
    const event = Event.parse(JSON.parse(body));
    const { data } = await database.rpc("ingest_clerk_event", { message_id: "msg_1", event });
    return Response.json(data);
  },
};
