import { RefusalRing } from "../../console/server/refusals.ts";
import {
  type Console,
  type ConsoleOptions,
  startConsole,
} from "../../console/server/start_console.ts";
import { stackHome } from "../../local/postgres/home.ts";
import type { TestStack } from "../test_stack.ts";

/** A console of a test's stack, on a free port. */
export interface TestConsole {
  readonly console: Console;
  readonly refusals: RefusalRing;
  /** The origin of its URL. */
  readonly origin: string;
  readonly token: string;
  /** Asks with the token of this run; POST if there is a body. */
  fetch(path: string, init?: RequestInit & { readonly json?: unknown }): Promise<Response>;
  /** The JSON of an answer with status 200. */
  get<Answer>(path: string): Promise<Answer>;
  /** The JSON of an answer with status 200, or the lines of a stream until it ends. */
  post<Answer>(path: string, json: unknown): Promise<Answer>;
  lines<Line>(path: string, json: unknown): Promise<Line[]>;
}

/** Starts the console of a stack as `dev` does, or with other options, and stops it afterwards. */
export async function withConsole(
  { services }: TestStack,
  test: (console: TestConsole) => Promise<void>,
  options: Partial<ConsoleOptions> = {},
): Promise<void> {
  const refusals = new RefusalRing();
  const errors: unknown[] = [];
  await using console = startConsole({
    url: services.apiUrl,
    key: services.keys.secret,
    local: {
      databaseUrl: services.databaseUrl,
      webhookUrl: services.webhookUrl,
      signingSecret: services.signingSecret,
      publishableKey: services.keys.publishable,
      issueToken: services.issueToken,
    },
    refusals,
    command: "deno task",
    envFlag: " --env some/env",
    cliVersion: "9.9.9",
    port: 0,
    cache: stackHome,
    onError: (error) => errors.push(error),
    ...options,
  });
  const { origin, hash } = new URL(console.url);
  const token = hash.replace("#token=", "");
  const ask: TestConsole["fetch"] = (path, { json, ...init } = {}) =>
    fetch(`${origin}${path}`, {
      ...(json === undefined ? {} : { method: "POST", body: JSON.stringify(json) }),
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
    });
  const textOf = async (response: Response): Promise<string> => {
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
    return text;
  };

  await test({
    console,
    refusals,
    origin,
    token,
    fetch: ask,
    get: async (path) => JSON.parse(await textOf(await ask(path))),
    post: async (path, json) => JSON.parse(await textOf(await ask(path, { json }))),
    lines: async (path, json) =>
      (await textOf(await ask(path, { json }))).trim().split("\n").map((line) => JSON.parse(line)),
  });
  if (errors.length > 0) throw errors[0];
}

/** For how long a line is waited for, ms. */
const LATE = 20_000;

/** A stream that is read line by line. */
export interface Lines<Line> extends AsyncDisposable {
  /** Reads on until a line is as wanted, and returns that one. */
  until(isWanted: (line: Line) => boolean): Promise<{
    readonly line: Line;
    readonly before: readonly Line[];
  }>;
}

export function linesOf<Line>(response: Response): Lines<Line> {
  let text = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) throw new Error("The answer has no body");
  return {
    until: async (isWanted) => {
      const before: Line[] = [];
      const late = setTimeout(() => reader.cancel(), LATE);
      try {
        for (;;) {
          const end = text.indexOf("\n");
          if (end < 0) {
            const { value, done } = await reader.read();
            if (done) throw new Error(`The stream ended after ${JSON.stringify(before)}`);
            text += value;
            continue;
          }
          const line: Line = JSON.parse(text.slice(0, end));
          text = text.slice(end + 1);
          if (isWanted(line)) return { line, before };
          before.push(line);
        }
      } finally {
        clearTimeout(late);
      }
    },
    [Symbol.asyncDispose]: () => reader.cancel(),
  };
}

/** Reads a stream line by line until a line is as wanted, and returns that one. */
export async function readUntil<Line>(
  response: Response,
  isWanted: (line: Line) => boolean,
): Promise<{ readonly line: Line; readonly before: readonly Line[] }> {
  await using lines = linesOf<Line>(response);
  return await lines.until(isWanted);
}
