import type { ComponentChildren, VNode } from "preact";
import { useEffect, useErrorBoundary, useRef, useState } from "preact/hooks";
import type { Project } from "../api.ts";
import { follow, useLive } from "./live.ts";
import { AgeOf } from "./parts/age.tsx";
import { Toast } from "./parts/copy.tsx";
import { Empty, Sentence } from "./parts/states.tsx";
import { Deliveries } from "./pages/deliveries.tsx";
import { Downstream } from "./pages/downstream.tsx";
import { Overview } from "./pages/overview.tsx";
import { Refused } from "./pages/refused.tsx";
import { Runs } from "./pages/runs.tsx";
import { Timeline } from "./pages/timeline.tsx";
import { Try } from "./pages/try.tsx";
import { ViewAs } from "./pages/view_as.tsx";
import { ProjectContext } from "./project.ts";
import { go, hrefOf, type PageName, tokenInUrl, useRoute } from "./route.ts";
import { useLoaded } from "./ask.ts";
import { count } from "./words.ts";

const PAGES: readonly (readonly [page: PageName, title: string])[] = [
  ["overview", "Overview"],
  ["deliveries", "Deliveries"],
  ["timeline", "Timeline"],
  ["refusals", "Never arrived"],
  ["view-as", "View as"],
  ["downstream", "Downstream"],
  ["runs", "Runs"],
  ["try", "Try"],
];

export function App(): VNode {
  const { connection } = useLive();
  const project = useLoaded<Project>(tokenInUrl() === null ? null : "/api/project");
  useEffect(() => {
    if (tokenInUrl() !== null) follow();
    // Another token, from a console that was started again.
    const token = tokenInUrl();
    const check = (): void => tokenInUrl() !== token ? location.reload() : undefined;
    addEventListener("hashchange", check);
    return () => removeEventListener("hashchange", check);
  }, []);

  if (tokenInUrl() === null || connection === "refused") {
    return (
      <Locked title="Open the URL that the command printed">
        It carries the key of this run: <code>{document.body.dataset.command}</code>{" "}
        prints another one each time it starts.
      </Locked>
    );
  }
  if (project.value === undefined) {
    return project.error === undefined
      ? <p class="loading" role="status">Loading…</p>
      : <Locked title="Cannot reach the project">{project.error}</Locked>;
  }
  return (
    <ProjectContext.Provider value={project.value}>
      <Frame project={project.value} />
      <Toast />
    </ProjectContext.Provider>
  );
}

function Locked(
  { title, children }: { readonly title: string; readonly children: ComponentChildren },
): VNode {
  return (
    <main class="locked">
      <div class="empty">
        <h1>{title}</h1>
        <p role="alert">{children}</p>
      </div>
    </main>
  );
}

function Frame({ project }: { readonly project: Project }): VNode {
  const { page } = useRoute();
  const { status, refusals } = useLive();
  const [isMenuOpen, setMenuOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const title = PAGES.find(([name]) => name === page)?.[1] ?? "";
  const isFirst = useRef(true);

  useEffect(() => {
    document.title = `${title} · clerk-sync`;
    setMenuOpen(false);
    if (main.current !== null) main.current.scrollTop = 0;
    // A screen reader hears that there is another page.
    if (!isFirst.current && document.activeElement?.closest(".side") === null) {
      main.current?.focus();
    }
    isFirst.current = false;
  }, [page]);

  const refused = sumOf(refusals?.counts ?? {});
  const [seen, setSeen] = useState(0);
  useEffect(() => {
    if (page === "refusals") setSeen(refused);
  }, [page, refused]);

  const numbers: Partial<Record<PageName, readonly [number: number, what: string]>> = {
    deliveries: [sumOf(status?.events.waiting ?? {}), "failed"],
    // Since somebody has looked.
    refusals: [refused - seen, "refused"],
    downstream: [status?.queue.dead ?? 0, "dead"],
  };
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), main.current?.focus())}
      >
        Skip to the page
      </a>
      <header class="top">
        <a class="brand" href={hrefOf("overview")}>
          <svg width="20" height="20" viewBox="0 0 16 16" aria-hidden="true">
            <rect width="16" height="16" rx="4" fill="currentColor" />
            <path
              d="M4 6.2h6.5L8.6 4.3M12 9.8H5.5l1.9 1.9"
              fill="none"
              stroke="var(--card)"
              stroke-width="1.6"
              stroke-linecap="round"
              stroke-linejoin="round"
            />
          </svg>
          clerk-sync
        </a>
        <Search />
        <div class="where">
          <span class="host" title={project.url}>
            {project.mode === "local" ? "local" : "hosted"} · {project.host}
          </span>
          <LinkState />
        </div>
        <button
          type="button"
          class="button small menu-button"
          aria-expanded={isMenuOpen}
          aria-controls="pages"
          onClick={() => setMenuOpen(!isMenuOpen)}
        >
          {title} ▾
        </button>
      </header>
      <Truth />
      <nav class={`side${isMenuOpen ? " is-open" : ""}`} id="pages" aria-label="Pages">
        {PAGES.filter(([name]) =>
          (name !== "view-as" || project.can_view_as) && (name !== "try" || project.can_try)
        ).map(([name, label]) => {
          const [number, what] = numbers[name] ?? [0, ""];
          return (
            <a key={name} href={hrefOf(name)} aria-current={name === page ? "page" : undefined}>
              {label}
              {number > 0 && (
                <span class="count">
                  {count(number)}
                  <span class="visually-hidden">{` ${what}`}</span>
                </span>
              )}
            </a>
          );
        })}
      </nav>
      <main class="main" id="main" ref={main} tabIndex={0}>
        <Guarded key={page}>
          <PageOf page={page} />
        </Guarded>
      </main>
    </div>
  );
}

/** A defect of one page leaves the others usable. */
function Guarded({ children }: { readonly children: ComponentChildren }): VNode {
  const [error, reset] = useErrorBoundary((error) => console.error(error));
  if (error === undefined) return <>{children}</>;
  return (
    <Empty title="This page has failed">
      <p role="alert">{String(error)}</p>
      <button type="button" class="button" onClick={reset}>Try again</button>
    </Empty>
  );
}

function PageOf({ page }: { readonly page: PageName }): VNode {
  switch (page) {
    case "overview":
      return <Overview />;
    case "deliveries":
      return <Deliveries />;
    case "timeline":
      return <Timeline />;
    case "refusals":
      return <Refused />;
    case "view-as":
      return <ViewAs />;
    case "downstream":
      return <Downstream />;
    case "runs":
      return <Runs />;
    case "try":
      return <Try />;
    default:
      return page satisfies never;
  }
}

function LinkState(): VNode {
  const { connection } = useLive();
  const words = { connecting: "Connecting", live: "Live", lost: "Reconnecting…", refused: "" };
  return <span class="link-state" data-state={connection} role="status">{words[connection]}</span>;
}

/** Finds a person, an object or a message by id, address or name. */
function Search(): VNode {
  const { page, values } = useRoute();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const { target } = event;
      const isTyping = target instanceof HTMLElement &&
        (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
      if (event.key !== "/" || isTyping || event.metaKey || event.ctrlKey || event.altKey) return;
      if (document.querySelector("dialog[open]") !== null) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  useEffect(() => {
    if (input.current !== null && page === "timeline") input.current.value = values.q ?? "";
  }, [page, values.q]);

  return (
    <form
      class="search"
      role="search"
      aria-label="The whole sync"
      onSubmit={(event) => {
        event.preventDefault();
        const wanted = input.current?.value.trim() ?? "";
        if (wanted === "") return;
        if (wanted.startsWith("msg_")) go("deliveries", { id: wanted });
        else go("timeline", { q: wanted });
        input.current?.blur();
      }}
    >
      <input
        ref={input}
        type="search"
        aria-label="Search by address, name or id"
        placeholder="Search an address, a name, user_…, org_…, msg_…"
        maxLength={255}
        spellcheck={false}
        autocomplete="off"
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

/** How the sync is, in one line. */
function Truth(): VNode {
  const { connection, status, statusAt, trouble } = useLive();
  if (trouble !== null || connection === "lost") {
    return (
      <section class="truth" data-state="bad" aria-label="State of the sync" role="alert">
        <p class="truth-words">
          <strong>{trouble ?? "The console's server does not answer."}</strong> {trouble === null
            ? "Is its command still running? What you see is as of the last answer."
            : "The console tries again each second."}
        </p>
      </section>
    );
  }
  if (status === null) {
    return (
      <section class="truth" aria-label="State of the sync">
        <p class="truth-words muted">Asking the database…</p>
      </section>
    );
  }
  const { is_healthy, verdict, breaches, events, queue, runs, rows } = status;
  const [first, ...others] = breaches;
  const drift = rows === null ? null : Object.values(rows).reduce(
    (sum, { here, clerk }) => sum + Math.abs(here - clerk),
    runs.surplus,
  );
  return (
    <section class="truth" data-state={is_healthy ? "good" : "bad"} aria-label="State of the sync">
      <p class="truth-words">
        {first === undefined ? <strong>{is_healthy ? "✓" : "✗"} {verdict}</strong> : (
          <>
            <strong>
              ✗ <Sentence text={first.sentence} />
            </strong>{" "}
            <span class="muted">
              <Sentence text={first.cure} />
            </span>
            {others.length > 0 && (
              <>
                {" "}
                <a href={hrefOf("overview")}>and {others.length} more</a>
              </>
            )}
          </>
        )}
      </p>
      <dl>
        <div>
          <dt>last event</dt>
          <dd>
            <AgeOf seconds={events.last_seconds} since={statusAt} />
          </dd>
        </div>
        <div>
          <dt>applied</dt>
          <dd>
            <AgeOf seconds={events.last_applied_seconds} since={statusAt} />
          </dd>
        </div>
        <Figure name="waiting" value={queue.waiting + queue.in_flight + queue.retrying} />
        <Figure
          name="failed"
          value={sumOf(events.waiting)}
          isBad
        />
        <Figure name="dead" value={queue.dead} isBad />
        <Figure name="drift" value={drift} isBad />
      </dl>
    </section>
  );
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, each) => sum + each, 0);
}

function Figure(
  { name, value, isBad = false }: {
    readonly name: string;
    /** Null if it is not known. */
    readonly value: number | null;
    readonly isBad?: boolean;
  },
): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-level={isBad && (value ?? 0) > 0 ? "bad" : undefined}>
        {value === null ? "unknown" : count(value)}
      </dd>
    </div>
  );
}
