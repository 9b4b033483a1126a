// A stand-in for @clerk/react on the local stack: it has the exports that the application uses, and
// made-up users instead of Clerk's dialogs.

import { type ReactNode, useSyncExternalStore } from "react";
import "./clerk.css";

interface Session {
  readonly userId: string | null;
  readonly orgId: string | null;
}

const KEY = "local-clerk";
const SIGNED_OUT: Session = { userId: null, orgId: null };

let session: Session = JSON.parse(localStorage.getItem(KEY) ?? "null") ?? SIGNED_OUT;
let token: { readonly text: Promise<string>; readonly expires: number } | undefined;
const listeners = new Set<() => void>();

function change(next: Session): void {
  session = next;
  token = undefined;
  localStorage.setItem(KEY, JSON.stringify(next));
  listeners.forEach((listener) => listener());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function useSession(): Session {
  return useSyncExternalStore(subscribe, () => session);
}

function anId(prefix: "user" | "org"): string {
  return `${prefix}_${crypto.randomUUID().replaceAll("-", "").slice(0, 27)}`;
}

export function useAuth(): Session & { isLoaded: true } {
  return { isLoaded: true, ...useSession() };
}

/** A session token as Clerk's; tokens of the local stack live for an hour. */
export async function getToken(): Promise<string | null> {
  if (session.userId === null) return null;
  if (token === undefined || token.expires < Date.now()) {
    token = { text: fetchToken(session), expires: Date.now() + 30 * 60_000 };
    token.text.catch(() => token = undefined);
  }
  return await token.text;
}

async function fetchToken({ userId, orgId }: Session): Promise<string> {
  const query = new URLSearchParams({
    user: userId ?? "",
    ...(orgId === null ? {} : { organization: orgId }),
  });
  const response = await fetch(`/local/token?${query}`);
  if (!response.ok) throw new Error("Cannot make a session token: see the terminal of Vite");
  return await response.text();
}

export function SignUpButton(_: { mode: "modal" }) {
  return (
    <button type="button" onClick={() => change({ userId: anId("user"), orgId: null })}>
      Sign up
    </button>
  );
}

export function SignInButton(_: { mode: "modal" }) {
  const signIn = () => {
    const userId = prompt("Id of the user, user_…")?.trim();
    if (userId) change({ userId, orgId: null });
  };
  return <button type="button" onClick={signIn}>Sign in</button>;
}

export function UserButton() {
  return <button type="button" onClick={() => change(SIGNED_OUT)}>Sign out</button>;
}

export function OrganizationSwitcher() {
  const { userId, orgId } = useSession();
  const toggle = () => change({ userId, orgId: orgId === null ? anId("org") : null });
  return (
    <button type="button" onClick={toggle}>
      {orgId === null ? "Create organization" : "Leave organization"}
    </button>
  );
}

/** Shows below the application which events Clerk would send now. */
export function ClerkProvider({ children }: { publishableKey: string; children: ReactNode }) {
  const { userId, orgId } = useSession();
  const events = [
    `user.created --user ${userId}`,
    ...(orgId === null ? [] : [
      `organization.created --org ${orgId}`,
      `organizationMembership.created --user ${userId} --org ${orgId} --role admin`,
    ]),
  ];
  return (
    <>
      {children}
      {userId !== null && (
        <footer className="local-clerk">
          <p>This is not Clerk but a stand-in. Send what Clerk would send now:</p>
          {events.map((event) => <pre key={event}>deno task send {event}</pre>)}
        </footer>
      )}
    </>
  );
}
