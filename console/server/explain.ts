import { z } from "zod";
import { call } from "../../functions/clerk-worker/drain/queue.ts";
import { whyUnknown } from "../../operations/explain.ts";
import type { Explained } from "../api.ts";
import { Refused, type Routes } from "./answer.ts";
import type { Deps } from "./deps.ts";
import { explained } from "./messages.ts";

/** Objects of a name that are explained. */
const MOST_OF_A_NAME = 5;

const Found = z.object({ messages: z.array(z.object({ object_id: z.string().nullable() })) });

/** Explains an id, an address, a name, or what a message is about. */
export function explainRoutes(deps: Deps): Routes {
  return {
    "GET /api/explain": async ({ query }): Promise<Explained> => {
      const asked = query.get("q")?.trim() ?? "";
      if (asked === "") {
        throw new Refused(400, "Cannot explain nothing: give an id, an address or a name");
      }
      const { ids, hint } = await idsOf(deps, asked);
      const objects = (await Promise.all(ids.map((id) => explained(deps, id)))).flat();
      if (objects.length > 0) {
        return { objects, ...(hint === undefined ? {} : { hint: `${hint}.` }) };
      }
      return { objects, hint: `${hint ?? whyUnknown(asked)}.` };
    },
  };
}

interface Meant {
  readonly ids: readonly string[];
  readonly hint?: string;
}

async function idsOf({ supabase }: Deps, asked: string): Promise<Meant> {
  if (asked.startsWith("msg_")) {
    const filter = { outcomes: null, message_id: asked };
    const { messages: [message] } = await call(supabase, "list_clerk_messages", filter, Found);
    if (message === undefined) {
      return { ids: [], hint: `The inbox has no message ${JSON.stringify(asked)}` };
    }
    return message.object_id === null
      ? { ids: [], hint: `${asked} is about no object that has an id` }
      : { ids: [message.object_id], hint: `${asked} is about ${message.object_id}` };
  }
  if (asked.includes("@") || /^(?:user|org|orgmem|orginv)_/.test(asked)) return { ids: [asked] };

  const args = { name_part: asked, max_rows: MOST_OF_A_NAME + 1 };
  const ids = await call(supabase, "find_clerk_objects", args, z.array(z.string()));
  if (ids.length === 0) {
    return { ids, hint: `Nobody here, and no organization, is called ${JSON.stringify(asked)}` };
  }
  return ids.length <= MOST_OF_A_NAME ? { ids } : {
    ids: ids.slice(0, MOST_OF_A_NAME),
    hint:
      `More have that name, and these are the first ${MOST_OF_A_NAME}. An address or an id finds any of them`,
  };
}
