import type { SupabaseClient } from "@supabase/supabase-js";
import type { ClerkApiOptions } from "../../functions/clerk-worker/reconcile/clerk_api.ts";
import type { SessionClaims } from "../../local/clerk/token_issuer.ts";
import type { RefusalRing } from "./refusals.ts";
import type { StatusReader } from "./status.ts";

/** A stack of `dev` on this machine. */
export interface LocalStack {
  readonly databaseUrl: string;
  readonly webhookUrl: string;
  readonly signingSecret: string;
  readonly publishableKey: string;
  readonly issueToken: (session: SessionClaims) => Promise<string>;
}

/** What the console shows, and what it may use. */
export interface ConsoleProject {
  readonly url: string;
  /** A secret key. It never leaves this process, except for the project itself. */
  readonly key: string;
  readonly clerk?: Pick<ClerkApiOptions, "secretKey" | "apiUrl"> | undefined;
  readonly local?: LocalStack | undefined;
  readonly refusals?: RefusalRing | undefined;
  /** What the user types instead of `deno task`. */
  readonly command: string;
  /** What the user types after a command: nothing, or ` --env FILE`. */
  readonly envFlag: string;
  readonly cliVersion: string;
}

/** What the answers need. */
export interface Deps {
  readonly project: ConsoleProject;
  readonly supabase: SupabaseClient;
  readonly status: StatusReader;
  /** The server stops. */
  readonly stop: AbortSignal;
  /** The last line of a stream that fails. */
  readonly failure: (error: unknown) => { readonly error: string };
}

/** A command line for the user to type. */
export function commandLine({ command, envFlag }: ConsoleProject, words: string): string {
  return `${command} ${words}${envFlag}`;
}
