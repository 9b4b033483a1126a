import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import type { ApiKeys } from "../keys.ts";
import { apiErrorResponse } from "./errors.ts";

/** The claims of a request, which the database reads in `request.jwt.claims`. */
export type RequestClaims = JWTPayload & { role: string };

/** Whose session tokens are accepted. */
export interface TokenTrust {
  issuer: string;
  jwks: JSONWebKeySet;
}

/** The roles that a token may choose. Roles with more rights have API keys. */
const TOKEN_ROLES = ["anon", "authenticated"];

/**
 * The rules of Supabase's gateway: every request needs an API key, which carries a role; a session
 * token overrides that role.
 *
 * @returns a function that returns the claims of a request, or the response that refuses it.
 */
export function createGatewayAuth(
  keys: ApiKeys,
  trust: TokenTrust,
): (request: Request) => Promise<RequestClaims | Response> {
  const roles = new Map([
    [keys.publishable, "anon"],
    [keys.secret, "service_role"],
    [keys.clerkIngest, "clerk_ingest"],
    [keys.clerkWorker, "clerk_worker"],
  ]);
  const publicKeys = createLocalJWKSet(trust.jwks);

  return async (request) => {
    const key = request.headers.get("apikey") ?? new URL(request.url).searchParams.get("apikey");
    if (key === null || key === "") {
      return refuse("No API key found in request", {
        hint: "No `apikey` request header or url param was found.",
      });
    }
    const role = roles.get(key);
    if (role === undefined) {
      return refuse("Invalid API key", { hint: "Double check your Supabase `apikey`" });
    }

    // supabase-js without a session sends the key itself as the bearer.
    const bearer = /^Bearer\s+(.*)$/i.exec(request.headers.get("authorization") ?? "")?.[1]?.trim();
    if (bearer === undefined || bearer === "" || roles.has(bearer)) return { role };

    try {
      const { payload } = await jwtVerify(bearer, publicKeys, {
        algorithms: ["RS256"],
        issuer: trust.issuer,
      });
      const wanted = payload.role ?? "anon";
      if (typeof wanted !== "string" || !TOKEN_ROLES.includes(wanted)) {
        return apiErrorResponse(403, {
          code: "42501",
          message: `permission denied to set role "${wanted}"`,
        });
      }
      return { ...payload, role: wanted };
    } catch (error) {
      return error instanceof errors.JWTExpired
        ? apiErrorResponse(401, { code: "PGRST303", message: "JWT expired" })
        : apiErrorResponse(401, {
          code: "PGRST301",
          message: "No suitable key or wrong key type",
          details: "None of the keys was able to decode the JWT",
        });
    }
  };
}

function refuse(message: string, body: { hint: string }): Response {
  return Response.json({ message, ...body }, { status: 401 });
}
