// A stand-in for @clerk/react on the local stack: it has the exports that the application uses, and
// made-up users instead of Clerk's dialogs.

import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
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

function queryOf({ userId, orgId }: Session): string {
  return new URLSearchParams({
    user: userId ?? "",
    ...(orgId === null ? {} : { organization: orgId }),
  }).toString();
}

async function fetchToken(session: Session): Promise<string> {
  const response = await fetch(`/local/token?${queryOf(session)}`);
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

/** Which of the events have arrived, asked again every two seconds. */
function useArrived(session: Session): readonly boolean[] {
  const query = queryOf(session);
  const [arrived, setArrived] = useState<readonly boolean[]>([]);
  useEffect(() => {
    let isOver = session.userId === null;
    setArrived([]);
    const ask = async () => {
      if (isOver || document.hidden) return;
      const response = await fetch(`/local/arrived?${query}`);
      const answer = response.ok ? await response.json() : [];
      if (!isOver) setArrived(answer);
    };
    const askAgain = () => void ask().catch(() => {});
    askAgain();
    const timer = setInterval(askAgain, 2_000);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [query]);
  return arrived;
}

/** Shows below the application which events Clerk would send, and which of them have arrived. */
export function ClerkProvider({ children }: { publishableKey: string; children: ReactNode }) {
  const session = useSession();
  const arrived = useArrived(session);
  const [send, env] = import.meta.env.VITE_LOCAL_SEND;
  const { userId, orgId } = session;
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
          <p>
            This is not Clerk but a stand-in. {events.every((_, index) => arrived[index])
              ? "All that Clerk would send has arrived."
              : "Send what Clerk would send now, from the root of the repository:"}
          </p>
          {events.map((event, index) =>
            arrived[index]
              ? <pre key={event} className="has-arrived">✓ {event}</pre>
              : <pre key={event}>{send} {event}{env}</pre>
          )}
        </footer>
      )}
    </>
  );
}
