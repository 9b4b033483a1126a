import { useEffect, useState } from "preact/hooks";

// Where the reader is, in the URL's fragment: `#token=…&page=deliveries&id=msg_…`. A fragment is never sent
// to a server, and with the token in it a reload works.

export type PageName =
  | "overview"
  | "deliveries"
  | "timeline"
  | "refusals"
  | "view-as"
  | "downstream"
  | "runs"
  | "try";

export interface Route {
  readonly page: PageName;
  readonly values: Readonly<Record<string, string>>;
}

const PAGES: readonly string[] = [
  "overview",
  "deliveries",
  "timeline",
  "refusals",
  "view-as",
  "downstream",
  "runs",
  "try",
];

/** The token of this run; null when the URL has none. */
export function tokenInUrl(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("token");
}

function currentRoute(): Route {
  const { token: _, page = "", ...values } = Object.fromEntries(
    new URLSearchParams(location.hash.slice(1)),
  );
  return { page: isPage(page) ? page : "overview", values };
}

function isPage(name: string): name is PageName {
  return PAGES.includes(name);
}

/** The link to a page; values that are empty are left out. */
export function hrefOf(page: PageName, values: Readonly<Record<string, string>> = {}): string {
  const filled = Object.entries(values).filter(([, value]) => value !== "");
  return `#${new URLSearchParams({
    token: tokenInUrl() ?? "",
    page,
    ...Object.fromEntries(filled),
  })}`;
}

export function go(page: PageName, values: Readonly<Record<string, string>> = {}): void {
  location.hash = hrefOf(page, values);
}

/** Goes there without another entry in the browser's history. */
export function replaceRoute(page: PageName, values: Readonly<Record<string, string>> = {}): void {
  history.replaceState(null, "", hrefOf(page, values));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(currentRoute);
  useEffect(() => {
    const follow = (): void => setRoute(currentRoute());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
