import type { SupabaseClient } from "@supabase/supabase-js";
import type { Log } from "../../_shared/clerk_sync/log.ts";
import type { Change, Topic } from "./change.ts";

/**
 * Handles one change. At least once: a change can be run again, also after it succeeded. Throws a
 * {@link HandlerError} to have it retried.
 *
 * @param signal aborts when the change is about to become visible to other workers: stop then, because
 *   another worker may start on it
 */
export type Run = (change: Change, signal: AbortSignal) => Promise<void>;

/** A queue handler, as one file of `handlers/` defines it. */
export interface HandlerDefinition<Variable extends string = string> {
  readonly name: string;
  /** The changes it runs for. */
  readonly topics: "all" | readonly Topic[];
  /** The variables that configure it, and what each one holds. It can read no others. */
  readonly variables: Readonly<Record<Variable, string>>;
  /** The variable without which it is off, for the log. */
  readonly needs: string;
  /**
   * Makes the handler; undefined when it is not configured, and so off.
   *
   * @throws {ConfigurationError} when a variable is missing or malformed
   */
  create(context: HandlerContext<Variable>): Run | undefined;
}

export interface HandlerContext<Variable extends string = string> {
  /** The value of a variable, trimmed; undefined when it is missing or blank. */
  read(variable: Variable): string | undefined;
  /** The same, but stops the worker when it is missing. */
  required(variable: Variable): string;
  /** The project's API, with the role `clerk_worker`. */
  readonly supabase: SupabaseClient;
  /** For ids, words and numbers: never an address, a name or an error's text. */
  readonly log: Log;
}

/** A handler that is configured. */
export interface Handler extends Pick<HandlerDefinition, "name" | "topics"> {
  readonly run: Run;
}

/** Lets the compiler check a definition, and that it reads only variables that it names. */
export function defineHandler<Variable extends string>(
  definition: HandlerDefinition<Variable>,
): HandlerDefinition {
  return definition;
}

/**
 * Why a handler failed: a class such as `http_503`. A text, which could quote data, is replaced by
 * `unknown`.
 */
export class HandlerError extends Error {
  override name = "HandlerError";
  readonly errorClass: string;

  constructor(errorClass: string) {
    const safe = /^[a-z0-9_]{1,50}$/.test(errorClass) ? errorClass : "unknown";
    super(safe);
    this.errorClass = safe;
  }
}
