import type { SupabaseClient } from "@supabase/supabase-js";
import { type Read, required } from "../../_shared/clerk_sync/configuration.ts";
import type { Log } from "../../_shared/clerk_sync/log.ts";
import type { Handler, HandlerDefinition } from "../drain/handler.ts";
import forward from "./forward.ts";
import welcomeEmail from "./welcome_email/mod.ts";

/** The handlers, in the order they run. To add one, write its file and name it here. */
const HANDLERS: readonly HandlerDefinition[] = [forward, welcomeEmail];

/**
 * The variables that configure the worker. `deno task dev` passes these on to it; a deployed function
 * reads every secret of the project.
 */
export const HANDLER_VARIABLES: readonly string[] = [
  "CLERK_WORKER_MAX_READS",
  ...HANDLERS.flatMap(({ variables }) => Object.keys(variables)),
];

/** Makes the handlers that are configured. The log says which are on, and which are off. */
export function createHandlers(read: Read, supabase: SupabaseClient, log: Log): Handler[] {
  return HANDLERS.flatMap(({ name, topics, variables, needs, create }) => {
    const run = create({
      read: (variable) => read(variable)?.trim() || undefined,
      required: (variable) => required(variable, read, variables[variable] ?? ""),
      supabase,
      log,
    });
    log({
      level: "info",
      message: `${name} is ${run === undefined ? `off: ${needs} is not set` : "on"}`,
    });
    return run === undefined ? [] : [{ name, topics, run }];
  });
}
