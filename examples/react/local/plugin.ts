import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { resolve } from "node:path";
import { parseEnv } from "node:util";
import type { Plugin } from "vite";

const CLERK_SYNC = resolve(import.meta.dirname, "../../..");
const ENV_FILE = resolve(CLERK_SYNC, ".local/env");

/** What runs a task: Deno, or npx where there is none. */
const DENO = spawnSync("deno", ["--version"]).error === undefined
  ? ["deno"]
  : ["npx", "-y", "deno@2.9.6"];

/**
 * Runs the application on the local stack, with a stand-in for Clerk whose session tokens come from
 * `deno task token`. For `--mode stack` only.
 */
export function localClerk(): Plugin {
  const file = resolve(process.env.CLERK_SYNC_ENV ?? ENV_FILE);

  return {
    name: "local-clerk",
    config: () => {
      const stack = readStack(file);
      const env = file === ENV_FILE ? "" : ` --env ${file}`;
      return {
        resolve: { alias: { "@clerk/react": resolve(import.meta.dirname, "clerk.tsx") } },
        define: {
          "import.meta.env.VITE_CLERK_PUBLISHABLE_KEY": '"none"',
          "import.meta.env.VITE_LOCAL_SEND": JSON.stringify([`${DENO.join(" ")} task send`, env]),
          "import.meta.env.VITE_SUPABASE_URL": JSON.stringify(stack.SUPABASE_URL),
          "import.meta.env.VITE_SUPABASE_PUBLISHABLE_KEY": JSON.stringify(
            stack.SUPABASE_PUBLISHABLE_KEY,
          ),
        },
      };
    },
    configureServer: ({ middlewares }) => {
      middlewares.use("/local/token", serveToken);
      middlewares.use("/local/arrived", serveArrived);
    },
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use("/local/token", serveToken);
      middlewares.use("/local/arrived", serveArrived);
    },
  };

  /** Answers with a session token of `?user=user_…`, as an admin of `&organization=org_…`. */
  function serveToken(request: IncomingMessage, response: ServerResponse): void {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const organization = searchParams.get("organization");
    const [program = "", ...args] = [
      ...DENO,
      "task",
      "token",
      `--env=${file}`,
      `--sub=${searchParams.get("user")}`,
      ...(organization === null ? [] : [`--org=${organization}`, "--role=admin"]),
    ];
    execFile(program, args, { cwd: CLERK_SYNC }, (error, token, log) => {
      if (error !== null) {
        console.error(log);
        response.statusCode = 500;
      }
      response.end(token.trim());
    });
  }

  /** Answers which of the events of `?user=user_…&organization=org_…` have arrived, in their order. */
  async function serveArrived(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const user = searchParams.get("user") ?? "";
    const organization = searchParams.get("organization");
    // A row that waits for its event has nothing but the id.
    const rows = [
      `profiles?id=eq.${user}&updated_at=not.is.null`,
      ...(organization === null ? [] : [
        `organizations?id=eq.${organization}&updated_at=not.is.null`,
        `organization_memberships?user_id=eq.${user}&organization_id=eq.${organization}`,
      ]),
    ];
    try {
      const stack = parseEnv(readFileSync(file, "utf8"));
      const found = await Promise.all(rows.map(async (path) => {
        const answer = await fetch(`${stack.SUPABASE_URL}/rest/v1/${path}`, {
          headers: { apikey: stack.SUPABASE_SECRET_KEY ?? "" },
        });
        return (await answer.json()).length > 0;
      }));
      response.end(JSON.stringify(found));
    } catch {
      // The stack has stopped.
      response.statusCode = 503;
      response.end();
    }
  }
}

/** The variables of the running stack. Without one, this ends the process with a sentence. */
function readStack(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, "utf8"));
  } catch {
    console.error(
      `Cannot find a running stack as ${file} does not exist: start one in ${CLERK_SYNC} with \`${
        DENO.join(" ")
      } task dev\``,
    );
    process.exit(1);
  }
}
