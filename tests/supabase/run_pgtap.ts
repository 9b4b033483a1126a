import postgres from "postgres";

/**
 * Runs a file of pgTAP calls as `pg_prove` would, but without psql.
 *
 * The whole file is sent to the server at once, and every text that it answers is TAP. When a
 * statement raises, the driver drops the rows of the statements before it, and the result is one line,
 * `Bail out!` with the place, the SQLSTATE and the message.
 *
 * @param sql one connection, as a role that owns what is tested
 * @returns the lines of the TAP stream
 */
export async function runPgtap(sql: postgres.Sql, text: string): Promise<string[]> {
  try {
    const results: unknown = await sql.unsafe(text).simple();

    return textsIn(results).flatMap((cell) => cell.split("\n"));
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    return [`Bail out! ${placeOf(error, text)}${error.code}: ${error.message}`];
  }
}

/** The strings of one result, or of a list of them: lists of rows, and rows are objects. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (value instanceof Date || typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

/** Postgres counts the position in characters, from 1. */
function placeOf(error: postgres.PostgresError, text: string): string {
  const position = Number(error.position);
  if (!(position > 0)) return "";
  const line = [...text].slice(0, position - 1).filter((each) => each === "\n").length + 1;
  return `line ${line}: `;
}
