import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import type { Plugin } from "vite";

const CLERK_SYNC = resolve(import.meta.dirname, "../../..");

/**
 * Runs the application on the local stack, with a stand-in for Clerk whose session tokens come from
 * `deno task token`. For `--mode stack` only.
 */
export function localClerk(): Plugin {
  const file = resolve(process.env.CLERK_SYNC_ENV ?? `${CLERK_SYNC}/.local/env`);

  return {
    name: "local-clerk",
    config: () => {
      const stack = readStack(file);
      return {
        resolve: { alias: { "@clerk/react": resolve(import.meta.dirname, "clerk.tsx") } },
        define: {
          "import.meta.env.VITE_CLERK_PUBLISHABLE_KEY": '"none"',
          "import.meta.env.VITE_SUPABASE_URL": JSON.stringify(stack.SUPABASE_URL),
          "import.meta.env.VITE_SUPABASE_PUBLISHABLE_KEY": JSON.stringify(
            stack.SUPABASE_PUBLISHABLE_KEY,
          ),
        },
      };
    },
    configureServer: ({ middlewares }) => {
      middlewares.use("/local/token", serveToken);
    },
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use("/local/token", serveToken);
    },
  };

  /** Answers with a session token of `?user=user_…`, as an admin of `&organization=org_…`. */
  function serveToken(request: IncomingMessage, response: ServerResponse): void {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const organization = searchParams.get("organization");
    const args = [
      "task",
      "token",
      `--env=${file}`,
      `--sub=${searchParams.get("user")}`,
      ...(organization === null ? [] : [`--org=${organization}`, "--role=admin"]),
    ];
    execFile("npx", ["-y", "deno@2.9.6", ...args], { cwd: CLERK_SYNC }, (error, token, log) => {
      if (error !== null) {
        console.error(log);
        response.statusCode = 500;
      }
      response.end(token.trim());
    });
  }
}

function readStack(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, "utf8"));
  } catch {
    throw new Error(`Cannot read ${file}: start a stack with \`deno task dev\``);
  }
}
