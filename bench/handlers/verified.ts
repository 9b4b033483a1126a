import { Webhook } from "svix";
import type { UserEvent } from "./clerk_user.ts";

const webhook = new Webhook(Deno.env.get("CLERK_WEBHOOK_SIGNING_SECRET") ?? "");

/** The message if it is authentic, otherwise undefined. */
export async function verified(
  request: Request,
): Promise<{ id: string; event: UserEvent } | undefined> {
  const body = await request.text();
  const id = request.headers.get("svix-id") ?? "";
  try {
    webhook.verify(body, {
      "svix-id": id,
      "svix-timestamp": request.headers.get("svix-timestamp") ?? "",
      "svix-signature": request.headers.get("svix-signature") ?? "",
    });
  } catch {
    return undefined;
  }
  return { id, event: JSON.parse(body) };
}
