import { fileURLToPath } from "node:url";
import type { Json } from "../../functions/_shared/clerk_sync/json.ts";
import { type BoundProcess, spawnBound } from "../../local/process.ts";
import { UserEvents } from "../user_events.ts";

/** Users on one page of Clerk's API. */
export const PAGE = 500;

/** Users behind a stand-in of Clerk's Backend API, which is a process of its own. */
export interface ClerkUsers extends AsyncDisposable {
  readonly url: string;
  /** The process that serves them. */
  readonly pid: number;
  readonly count: number;
  /** One page as text, as the API answers with it; pages are numbered from 0. */
  page(number: number): Promise<string>;
  /** The columns of the profiles of one page, as JSON. */
  columns(number: number): string;
}

/** Makes whole pages of users of about 3 kB and serves them. */
export async function serveClerkUsers(pages: number): Promise<ClerkUsers> {
  const folder = await Deno.makeTempDir({ prefix: "clerk-sync-users-" });
  const made = new UserEvents();
  const columns: string[] = [];
  const files: string[] = [];
  let after = FIRST;

  for (let number = 0; number < pages; number++) {
    const users = made.make(PAGE, 0);
    files.push(`${folder}/${after}`);
    await Deno.writeTextFile(
      `${folder}/${after}`,
      `[${users.map(({ event }) => JSON.stringify(JSON.parse(event).data)).join(",")}]`,
    );
    columns.push(`[${users.map(({ row }) => row.slice(1, -1)).join(",")}]`);
    after = users.at(-1)?.userId ?? after;
  }

  const { promise: url, resolve } = Promise.withResolvers<string>();
  const server: BoundProcess = spawnBound(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", fileURLToPath(import.meta.url), folder, `${pages}`],
    env: Deno.env.toObject(),
    onOrphaned: "KILL",
    onLine: resolve,
  });
  return {
    url: await url,
    pid: server.pid,
    count: pages * PAGE,
    page: (number) => Deno.readTextFile(files[number] ?? ""),
    columns: (number) => columns[number] ?? "[]",
    [Symbol.asyncDispose]: async () => {
      server.signal("SIGKILL");
      await server.ended;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** The name of the first page's file. Every other one has the name of the last user before it. */
const FIRST = "first";

/** Answers the requests of a backfill with the pages of a folder, which are read and not parsed. */
function serve(folder: string, users: number): void {
  const answer = (body: Json | Uint8Array<ArrayBuffer>): Response =>
    new Response(body instanceof Uint8Array ? body : JSON.stringify(body), {
      headers: { "content-type": "application/json" },
    });
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
  }, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/v1/instance":
        return answer({ object: "instance", id: "ins_0000000000000000000000bench" });
      case "/v1/users/count":
        return answer({ object: "total_count", total_count: users });
      case "/v1/users": {
        const file = `${folder}/${searchParams.get("starting_after") ?? FIRST}`;
        return answer(await Deno.readFile(file).catch(() => []));
      }
      default:
        return answer({ data: [], total_count: 0 });
    }
  });
}

if (import.meta.main) {
  const [folder = "", pages] = Deno.args;
  serve(folder, Number(pages) * PAGE);
}
