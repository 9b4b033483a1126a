/** An error as Postgres reports it; the names are those of its protocol. */
interface DatabaseError {
  code: string;
  message: string;
  detail?: string | undefined;
  hint?: string | undefined;
}

/** HTTP statuses by SQLSTATE; its first two characters apply where it is not listed itself. */
const STATUSES: Record<string, number> = {
  "08": 503,
  "09": 500,
  "0L": 403,
  "0P": 403,
  "23503": 409,
  "23505": 409,
  "25": 500,
  "25006": 405,
  "28": 403,
  "2D": 500,
  "38": 500,
  "39": 500,
  "3B": 500,
  "40": 500,
  "42883": 404,
  "42P01": 404,
  "42P17": 500,
  "53": 503,
  "53400": 500,
  "54": 500,
  "55": 500,
  "57": 500,
  "57P01": 503,
  "58": 500,
  "F0": 500,
  "HV": 500,
  "P0": 500,
  "P0001": 400,
  "XX": 500,
};

/**
 * The HTTP status that PostgREST gives to an SQLSTATE.
 *
 * @param anonymous whether the request ran as `anon`, who may sign in and try again.
 * @see https://docs.postgrest.org/en/v14/references/errors.html#http-status-codes
 */
function statusOfSqlState(code: string, anonymous: boolean): number {
  if (code === "42501") return anonymous ? 401 : 403;
  const chosen = /^PT([2-5]\d\d)$/.exec(code);
  if (chosen !== null) return Number(chosen[1]);
  return STATUSES[code] ?? STATUSES[code.slice(0, 2)] ?? 400;
}

/** PostgREST's response to an error of the database. */
export function databaseErrorResponse(error: DatabaseError, anonymous: boolean): Response {
  return apiErrorResponse(statusOfSqlState(error.code, anonymous), {
    code: error.code,
    details: error.detail ?? null,
    hint: error.hint ?? null,
    message: error.message,
  });
}

/** PostgREST's response when the database does not answer. */
export function unavailableResponse(code: "PGRST000" | "PGRST001" | "PGRST002"): Response {
  const message = {
    PGRST000: "Database connection error. Retrying the connection.",
    PGRST001: "Database client error. Retrying the connection.",
    PGRST002: "Could not query the database for the schema cache. Retrying.",
  }[code];
  return apiErrorResponse(503, { code, details: null, hint: null, message });
}

/** An error response in PostgREST's format. */
export function apiErrorResponse(
  status: number,
  body: { code: string; message: string; details?: string | null; hint?: string | null },
): Response {
  const { code, details = null, hint = null, message } = body;
  return Response.json({ code, details, hint, message }, { status });
}
