/** Our functions, and the word with which each refuses a request without a signature or a secret. */
const OUTCOMES = { "clerk-webhook": "missing_headers", "clerk-worker": "unauthorized" } as const;

export type FunctionName = keyof typeof OUTCOMES;

export const FUNCTIONS = Object.keys(OUTCOMES) as FunctionName[];

/**
 * What answers a request that a function must refuse: the function itself, Supabase's gateway in its
 * place, nothing, a function that does not run, or something else.
 */
export type Refusal = "function" | "gateway" | "nothing" | "broken" | "other";

/** Judges an answer by its status and body. */
export function judge(name: FunctionName, status: number, body: string): Refusal {
  switch (status) {
    case 401:
      return body.includes(`"outcome":"${OUTCOMES[name]}"`) ? "function" : "gateway";
    case 404:
      return "nothing";
    case 502:
    case 503:
    case 546:
      return "broken";
    default:
      return "other";
  }
}
