import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkPermission,
  aClerkRole,
  aClerkUser,
  type JsonObject,
} from "../../local/clerk/events.ts";
import type { Pick } from "../random.ts";

/** What one Clerk instance holds; tests change it at any time. */
export interface ClerkInstance {
  id: string;
  readonly user: ClerkObject[];
  readonly organization: ClerkObject[];
  readonly permission: ClerkObject[];
  readonly role: ClerkObject[];
  readonly membership: ClerkObject[];
  readonly invitation: ClerkObject[];
}

export type ClerkObject = JsonObject & { id: string };

/** How the API fails; each number is the share of the answers. Errors are 500, 502 and HTML. */
export interface Weather {
  readonly pick: Pick;
  readonly errors?: number;
  readonly cut?: number;
  readonly slow?: number;
  /** Of 429, for 1 s: the application's own requests count, too. */
  readonly limited?: number;
}

/** A stand-in of Clerk's Backend API on loopback. */
export interface ClerkApiServer extends AsyncDisposable {
  readonly url: string;
  readonly instance: ClerkInstance;
  readonly secretKey: string;
  /** The paths that were asked for, with their queries, in order. */
  readonly asked: string[];
  /** How often each disturbance happened: `422`, `429`, `cut`, `error`, `slow`. */
  readonly disturbances: Readonly<Record<string, number>>;
  /** The most requests that were answered at the same time. */
  readonly mostAtOnce: () => number;
  weather: Weather | undefined;
  /** Is called before each answer, and may give another one. */
  onRequest: (url: URL) => Response | undefined | void | Promise<Response | undefined | void>;
}

export interface Size {
  readonly users: number;
  readonly organizations?: number;
  readonly memberships?: number;
  readonly invitations?: number;
}

/** Objects of a growing age: later ones are newer. */
export function anInstance(
  { users, organizations = 0, memberships = 0, invitations = 0 }: Size,
): ClerkInstance {
  const start = Date.now() - 30 * 24 * 3600_000;
  const times = (at: number): { created_at: number; updated_at: number } => ({
    created_at: start + at * 1000,
    updated_at: start + at * 1000,
  });
  const many = (
    count: number,
    make: (at: number) => JsonObject,
  ): ClerkObject[] => Array.from({ length: count }, (_, at) => make(at) as ClerkObject);

  const user = many(users, (at) => aClerkUser(times(at), at));
  const organization = many(
    organizations,
    (at) => aClerkOrganization({ ...times(at), name: `Organization ${at}` }),
  );
  const permission = many(2, (at) => aClerkPermission(`org:posts:${at}`, times(at)));
  return {
    id: "ins_0000000000000000000000local",
    user,
    organization,
    permission,
    role: many(2, (at) => aClerkRole(`org:role_${at}`, permission, times(at))),
    // Each pair once: the next organization for the same user with every round.
    membership: many(memberships, (at) =>
      aClerkMembership({
        user: user[at % users]?.id ?? "",
        organization: organization[(at + Math.floor(at / users)) % organizations]?.id ?? "",
      }, times(at))),
    invitation: many(
      invitations,
      (at) => aClerkInvitation(organization[at % organizations]?.id ?? "", times(at)),
    ),
  };
}

/** Serves an instance, with a page size of Clerk's at most. */
export function serveClerkApi(
  instance: ClerkInstance,
  secretKey = "sk_live_made_up",
): ClerkApiServer {
  const asked: string[] = [];
  let now = 0;
  let most = 0;
  const disturbances: Record<string, number> = {};
  const note = (what: string): number => disturbances[what] = (disturbances[what] ?? 0) + 1;

  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const url = new URL(request.url);
      asked.push(url.pathname + url.search);
      most = Math.max(most, ++now);
      try {
        // Nothing here may write to Clerk.
        if (request.method !== "GET") return clerkError(405, "method_not_allowed");
        const other = await api.onRequest(url);
        if (other instanceof Response) return other;
        if (request.headers.get("authorization") !== `Bearer ${api.secretKey}`) {
          return clerkError(401, "clerk_key_invalid");
        }
        return await inWeather(api.weather, note, () => {
          const response = answer(instance, url);
          if (response.status === 422) note("422");
          return response;
        });
      } finally {
        now--;
      }
    },
  );

  const api: ClerkApiServer = {
    url: `http://127.0.0.1:${server.addr.port}`,
    instance,
    secretKey,
    asked,
    disturbances,
    mostAtOnce: () => most,
    weather: undefined,
    onRequest: () => {},
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return api;
}

export function clerkError(status: number, code: string): Response {
  const errors = [{ code, message: "Made up", long_message: "Made up", meta: {} }];
  return Response.json({ errors, clerk_trace_id: "0" }, { status });
}

async function inWeather(
  weather: Weather | undefined,
  note: (what: string) => number,
  answer: () => Response,
): Promise<Response> {
  if (weather === undefined) return answer();
  const { pick, errors = 0, cut = 0, slow = 0, limited = 0 } = weather;
  const happens = (share: number): boolean => pick(1000) < share * 1000;

  if (happens(limited)) {
    note("429");
    const { body } = clerkError(429, "too_many_requests");
    return new Response(body, { status: 429, headers: { "retry-after": "1" } });
  }
  if (happens(slow)) {
    note("slow");
    await new Promise((resolve) => setTimeout(resolve, 50 + pick(100)));
  }
  if (happens(errors)) {
    const html = { headers: { "content-type": "text/html" } };
    const page = "<html><body>Bad gateway</body></html>";
    // In turn, so that none is left out.
    switch (note("error") % 4) {
      case 0:
        return clerkError(500, "internal_clerk_error");
      case 1:
        return new Response(page, { status: 502, ...html });
      case 2:
        return new Response(page, { status: 404, ...html });
      default:
        return new Response(page, html);
    }
  }
  const response = answer();
  if (!happens(cut)) return response;
  note("cut");
  return cutOff(await response.text(), pick);
}

/** A body that ends early: sometimes as if it were whole, sometimes with the connection. */
function cutOff(text: string, pick: Pick): Response {
  const part = text.slice(0, pick(text.length));
  if (pick(2) === 0) return new Response(part);
  // Promises more than it brings. As a stream, because a whole body gets its own length.
  const stream = new Blob([part]).stream();
  return new Response(stream, { headers: { "content-length": String(text.length + 1) } });
}

const LISTS: Readonly<Record<string, Exclude<keyof ClerkInstance, "id" | "user">>> = {
  "/v1/organizations": "organization",
  "/v1/organization_permissions": "permission",
  "/v1/organization_roles": "role",
  "/v1/organization_memberships": "membership",
  "/v1/organization_invitations": "invitation",
};

function answer(instance: ClerkInstance, { pathname, searchParams }: URL): Response {
  const limit = Number(searchParams.get("limit") ?? 10);
  const offset = Number(searchParams.get("offset") ?? 0);
  const order = searchParams.get("order_by") ?? "-created_at";
  if (!(limit >= 1 && limit <= 500 && offset >= 0)) {
    return clerkError(422, "form_param_value_invalid");
  }
  const inOrder = (objects: readonly ClerkObject[]): readonly ClerkObject[] => {
    if (order === "-updated_at") {
      return objects.toSorted((one, other) => Number(other.updated_at) - Number(one.updated_at));
    }
    return order === "-created_at" ? objects.toReversed() : objects;
  };

  const list = LISTS[pathname];
  if (list !== undefined) {
    const all = instance[list];
    const data = inOrder(all).slice(offset, offset + limit).map((object) =>
      list === "organization" && searchParams.get("include_members_count") !== "true"
        ? { ...object, members_count: undefined }
        : object
    );
    return page(`{"data":${text(data)},"total_count":${all.length}}`);
  }

  const [, version, kind, id, within, innerId] = pathname.split("/");
  if (version !== "v1") return clerkError(404, "resource_not_found");
  if (pathname === "/v1/instance") {
    return page(JSON.stringify({ object: "instance", id: instance.id, environment_type: "test" }));
  }
  if (pathname === "/v1/users/count") {
    return page(JSON.stringify({ object: "total_count", total_count: instance.user.length }));
  }
  if (pathname === "/v1/users") {
    const after = searchParams.get("starting_after");
    if (after === null) return page(text(inOrder(instance.user).slice(offset, offset + limit)));
    if (!/^[+-]?created_at$/.test(order) || offset > 0) {
      return clerkError(422, "form_param_value_invalid");
    }
    const at = inOrder(instance.user).findIndex((user) => user.id === after);
    if (at === -1) return clerkError(422, "form_param_value_invalid");
    return page(text(inOrder(instance.user).slice(at + 1, at + 1 + limit)));
  }

  if (kind === "users") return found(instance.user.find((user) => user.id === id));
  if (kind !== "organizations") return clerkError(404, "resource_not_found");
  const organization = instance.organization.find((each) => each.id === id);
  if (organization === undefined || within === undefined || innerId !== undefined) {
    return found(innerId === undefined ? organization : undefined);
  }
  const users = searchParams.getAll("user_id");
  const members = instance.membership.filter((membership) =>
    (membership.organization as JsonObject).id === id &&
    users.includes(String((membership.public_user_data as JsonObject).user_id))
  );
  return page(`{"data":${text(members)},"total_count":${members.length}}`);
}

function found(object: ClerkObject | undefined): Response {
  return object === undefined ? clerkError(404, "resource_not_found") : page(textOf(object));
}

function page(body: string): Response {
  return new Response(body, { headers: { "content-type": "application/json" } });
}

function text(objects: readonly JsonObject[]): string {
  return `[${objects.map(textOf).join(",")}]`;
}

/** An object's JSON; a property `$text` replaces it, word for word. */
function textOf(object: JsonObject): string {
  return typeof object.$text === "string" ? object.$text : JSON.stringify(object);
}
