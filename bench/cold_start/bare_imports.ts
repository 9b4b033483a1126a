import { createClient } from "@supabase/supabase-js";
import { Webhook } from "svix";
import { z } from "zod";

// The function's packages, imported as their documentation says, but not used.

const packages = [createClient, Webhook, z];

export default {
  fetch: (): Response => Response.json({ outcome: "applied", packages: packages.length }),
};
