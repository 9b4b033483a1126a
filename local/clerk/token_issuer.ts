import { exportJWK, exportPKCS8, generateKeyPair, importPKCS8, type JWK, SignJWT } from "jose";

/** The content of a session token. */
export interface SessionClaims {
  /** The Clerk user id, `user_…`. */
  sub: string;
  /** The active organization's id, `org_…`. */
  org?: string;
  /** The user's role in it; `admin` and `org:admin` are the same. */
  role?: string;
  /** The user's permissions in it. */
  permissions?: string[];
  /** The status of the session: `active` by default, `pending` while a session task is open. */
  status?: string;
  /** The id of the user who impersonates `sub`. */
  impersonator?: string;
  /** Which of Clerk's versions the claims have; 2 by default. */
  version?: 1 | 2;
  /** More claims, which override the others. */
  claims?: Record<string, unknown>;
  /** Seconds until it expires; 3600 by default (60 at Clerk). */
  expiresIn?: number;
}

/** Signs session tokens as a Clerk instance does. */
export interface TokenIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The public key, as served under `/.well-known/jwks.json`. */
  jwks(): { keys: JWK[] };
  sign(session: SessionClaims): Promise<string>;
}

const LIFETIME_SECONDS = 3600;

/** A new private key as PKCS #8, for {@linkcode createTokenIssuer}. */
export async function generateTokenKey(): Promise<string> {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  return await exportPKCS8(privateKey);
}

/**
 * @param issuer the URL under which the JWKS is served, without a slash at the end.
 * @param key from {@linkcode generateTokenKey}; a new one by default.
 */
export async function createTokenIssuer(issuer: string, key?: string): Promise<TokenIssuer> {
  const privateKey = await importPKCS8(key ?? await generateTokenKey(), "RS256", {
    extractable: true,
  });
  const { kty, n, e } = await exportJWK(privateKey);
  if (kty === undefined || n === undefined || e === undefined) {
    throw new TypeError("Cannot issue tokens as the key is not an RSA key");
  }
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(n));
  const kid = `ins_${new Uint8Array(digest).toHex().slice(0, 27)}`;
  const publicKey: JWK = { kty, n, e, kid, use: "sig", alg: "RS256" };

  return {
    issuer,
    jwks: () => ({ keys: [publicKey] }),
    sign: async (session) => {
      const now = Math.floor(Date.now() / 1000);
      const lifetime = session.expiresIn ?? LIFETIME_SECONDS;
      return await new SignJWT({
        azp: issuer,
        exp: now + lifetime,
        fva: [0, -1],
        iat: now + Math.min(0, lifetime),
        iss: issuer,
        jti: randomHex(10),
        nbf: now - 10 + Math.min(0, lifetime),
        role: "authenticated",
        sid: `sess_${randomHex(13)}`,
        sts: session.status ?? "active",
        sub: session.sub,
        ...(session.impersonator === undefined ? {} : { act: { sub: session.impersonator } }),
        ...(session.version === 1 ? organizationClaims(session) : organizationClaim(session)),
        ...session.claims,
      }).setProtectedHeader({ alg: "RS256", kid, typ: "JWT" }).sign(privateKey);
    },
  };
}

/** Version 2: `rol` has no `org:` prefix; `per` is a comma list. */
function organizationClaim(session: SessionClaims): Record<string, unknown> {
  if (session.org === undefined) return { v: 2 };
  return {
    v: 2,
    o: {
      id: session.org,
      slg: slugOf(session.org),
      rol: (session.role ?? "member").replace(/^org:/, ""),
      per: (session.permissions ?? []).join(","),
    },
  };
}

/** Version 1, which has no `v`. */
function organizationClaims(session: SessionClaims): Record<string, unknown> {
  if (session.org === undefined) return {};
  return {
    org_id: session.org,
    org_slug: slugOf(session.org),
    org_role: (session.role ?? "member").replace(/^(org:)?/, "org:"),
    org_permissions: session.permissions ?? [],
  };
}

function slugOf(organization: string): string {
  return organization.replace(/^org_/, "").toLowerCase();
}

function randomHex(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
