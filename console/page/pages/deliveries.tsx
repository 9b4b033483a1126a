import type { VNode } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Message, Messages } from "../../api.ts";
import { useGeneration, useMessages } from "../live.ts";
import { MessageList } from "../parts/message_list.tsx";
import { Empty } from "../parts/states.tsx";
import { type ReplayChoice, ReplayDialog } from "../parts/replay_dialog.tsx";
import { go, hrefOf, replaceRoute, useRoute } from "../route.ts";
import { get, sentenceOf } from "../ask.ts";
import { count, OUTCOME_HINTS, OUTCOMES } from "../words.ts";
import { Delivery } from "./delivery.tsx";
import { FirstSteps } from "../parts/next_steps.tsx";

/** Rows that stay in memory while the reader watches the newest ones. */
const MOST_WATCHED = 2000;

const TIMES: readonly (readonly [name: string, minutes: string])[] = [
  ["Any time", ""],
  ["Last 15 minutes", "15"],
  ["Last hour", "60"],
  ["Last day", "1440"],
  ["Last 7 days", "10080"],
];

interface Filter {
  readonly outcome: string;
  readonly type: string;
  readonly text: string;
  /** Minutes that a message may be old; empty for any age. */
  readonly minutes: string;
  readonly since: string;
  readonly until: string;
}

function filterOf(values: Readonly<Record<string, string>>): Filter {
  const { outcome = "", type = "", text = "", minutes = "", since = "", until = "" } = values;
  return { outcome, type, text, minutes, since, until };
}

function sinceOf({ minutes, since }: Filter): string {
  if (minutes !== "") return new Date(Date.now() - Number(minutes) * 60_000).toISOString();
  return isoOf(since);
}

/** A time of a form, which is the reader's own, in UTC. */
function isoOf(local: string): string {
  return local === "" || Number.isNaN(Date.parse(local)) ? "" : new Date(local).toISOString();
}

function matches(message: Message, filter: Filter): boolean {
  const { message_id, object_id, type, outcome, received_at } = message;
  const since = sinceOf(filter);
  const until = isoOf(filter.until);
  const text = filter.text.toLowerCase();
  return (filter.outcome === "" || filter.outcome.split(",").includes(outcome)) &&
    (filter.type === "" || filter.type === type) &&
    (since === "" || Date.parse(received_at) >= Date.parse(since)) &&
    (until === "" || Date.parse(received_at) < Date.parse(until)) &&
    (text === "" || `${message_id} ${object_id ?? ""}`.toLowerCase().includes(text));
}

interface Rows {
  readonly rows: readonly Message[];
  readonly total: number | null;
  readonly next: string | null;
  readonly isLoading: boolean;
  readonly error: string | null;
}

const NOTHING: Rows = { rows: [], total: null, next: null, isLoading: true, error: null };

export function Deliveries(): VNode {
  const { values } = useRoute();
  const { id: openId = null } = values;
  const filter = filterOf(values);
  const key = JSON.stringify(filter);
  const generation = useGeneration();

  const [state, setState] = useState<Rows>(NOTHING);
  /** New ones that are not shown yet, because the reader has scrolled away from the top. */
  const [held, setHeld] = useState<readonly Message[]>([]);
  const [isAtTop, setAtTop] = useState(true);
  const [round, setRound] = useState(0);
  const [replaying, setReplaying] = useState(false);
  const isAsking = useRef(false);
  const atTop = useRef(true);
  /** Whether the stream has started again while the reader was further down. */
  const isOld = useRef(false);
  const filterNow = useRef(filter);
  filterNow.current = filter;

  const ask = useCallback(async (after: string | null, signal?: AbortSignal): Promise<void> => {
    if (isAsking.current && after !== null) return;
    isAsking.current = true;
    const wanted = filterNow.current;
    const isOver = (): boolean =>
      signal?.aborted === true || JSON.stringify(wanted) !== JSON.stringify(filterNow.current);
    const { outcome, type, text } = wanted;
    const query = new URLSearchParams(
      Object.entries({
        outcome,
        type,
        text: text.trim(),
        since: sinceOf(wanted),
        until: isoOf(wanted.until),
        after: after ?? "",
      }).filter(([, value]) => value !== ""),
    );
    try {
      const page = await get<Messages>(`/api/messages?${query}`, signal);
      if (isOver()) return;
      setState((last) => ({
        rows: after === null ? page.messages : withoutTwins([...last.rows, ...page.messages]),
        total: after === null ? page.total : last.total,
        next: page.next,
        isLoading: false,
        error: null,
      }));
    } catch (error) {
      if (isOver()) return;
      setState((last) => ({ ...last, next: null, isLoading: false, error: sentenceOf(error) }));
    } finally {
      isAsking.current = false;
    }
  }, []);

  useEffect(() => {
    const aborting = new AbortController();
    setState((last) => ({ ...last, isLoading: true }));
    setHeld([]);
    // While somebody types, ask once.
    const timer = setTimeout(() => ask(null, aborting.signal), state === NOTHING ? 0 : 150);
    return () => {
      clearTimeout(timer);
      aborting.abort();
    };
  }, [key, round]);

  const loadAgain = (): void => {
    isOld.current = false;
    setRound((last) => last + 1);
  };
  // The newest page again, unless that would take away what somebody reads.
  useEffect(() => {
    if (state === NOTHING) return;
    if (atTop.current) loadAgain();
    else isOld.current = true;
  }, [generation]);

  useMessages(useCallback((messages: readonly Message[], skipped: number) => {
    // More than the stream tells: the newest page again.
    if (skipped > 0 && atTop.current) return setRound((last) => last + 1);
    setState((last) => {
      const known = new Set(last.rows.map(({ message_id }) => message_id));
      const changed = new Map(messages.map((message) => [message.message_id, message]));
      const rows = last.rows.map((row) => changed.get(row.message_id) ?? row);
      const newest = rows[0]?.received_at ?? "";
      const added = messages.filter((message) =>
        !known.has(message.message_id) && message.received_at >= newest &&
        matches(message, filterNow.current)
      );
      if (!atTop.current) {
        setHeld((before) => withoutTwins([...added, ...before]));
        return { ...last, rows };
      }
      return withNew({ ...last, rows }, added);
    });
  }, []));

  // Whoever watches for hours does not keep every row: the newest page again, and what follows it.
  useEffect(() => {
    if (isAtTop && state.rows.length > MOST_WATCHED) setRound((last) => last + 1);
  }, [isAtTop, state.rows.length]);

  const showHeld = (): void => {
    if (isOld.current) return loadAgain();
    setState((last) => withNew(last, held));
    setHeld([]);
  };
  const set = (part: Partial<Filter>): void => replaceRoute("deliveries", { ...values, ...part });

  // Esc closes what is open beside the list.
  useEffect(() => {
    if (openId === null) return;
    const close = (event: KeyboardEvent): void => {
      if (
        event.key !== "Escape" || event.defaultPrevented ||
        document.querySelector("dialog[open], :is(input, select):focus") !== null
      ) {
        return;
      }
      const { id: _, ...others } = values;
      go("deliveries", others);
      document.querySelector<HTMLElement>(`[data-id="${CSS.escape(openId)}"] a`)?.focus();
    };
    addEventListener("keydown", close);
    return () => removeEventListener("keydown", close);
  }, [openId, key]);

  const isFiltered = Object.values(filter).some((value) => value !== "");
  const { rows, next, error, isLoading } = state;
  const { id: _, ...others } = values;

  return (
    <div class={`split${openId === null ? "" : " is-open"}`}>
      <div class="master">
        <Filters
          filter={filter}
          onChange={set}
          total={state.total}
          onReplay={() => setReplaying(true)}
        />
        <div class="list">
          {held.length > 0 && !isAtTop && (
            <button
              type="button"
              class="button primary small pill"
              onClick={() => {
                const list = document.querySelector(".list-scroll");
                if (list !== null) list.scrollTop = 0;
                showHeld();
              }}
            >
              ↑ {count(held.length)} new
            </button>
          )}
          {rows.length > 0
            ? (
              <MessageList
                rows={rows}
                openId={openId}
                hasMore={next !== null}
                hrefOf={(id) => hrefOf("deliveries", { ...others, id })}
                onOpen={(id) => replaceRoute("deliveries", { ...others, id })}
                onEnd={() => next !== null && ask(next)}
                onScroll={(now) => {
                  atTop.current = now;
                  setAtTop(now);
                  if (now && (held.length > 0 || isOld.current)) showHeld();
                }}
              />
            )
            : error !== null
            ? (
              <Empty title="Cannot list the deliveries">
                <p role="alert">{error}</p>
                <button type="button" class="button" onClick={() => setRound(round + 1)}>
                  Try again
                </button>
              </Empty>
            )
            : isLoading
            ? <p class="loading" role="status">Loading…</p>
            : isFiltered
            ? (
              <Empty title="No delivery matches">
                <p>Nothing in the inbox has all of these properties.</p>
                <button type="button" class="button" onClick={() => go("deliveries")}>
                  Clear the filters
                </button>
              </Empty>
            )
            : (
              <div class="sheet">
                <h2>No delivery yet</h2>
                <FirstSteps />
              </div>
            )}
        </div>
      </div>
      {openId !== null && (
        <Delivery
          id={openId}
          listed={rows.find(({ message_id }) => message_id === openId)}
          onClose={() => go("deliveries", others)}
          onChange={loadAgain}
        />
      )}
      {replaying && (
        <ReplayDialog
          choice={replayOf(filter)}
          onClose={() => {
            setReplaying(false);
            loadAgain();
          }}
        />
      )}
    </div>
  );
}

/** What the filter leaves of what can be replayed. */
function replayOf(filter: Filter): ReplayChoice {
  const outcomes = filter.outcome.split(",").filter((outcome) =>
    outcome === "failed" || outcome === "unreadable"
  );
  const since = sinceOf(filter);
  const until = isoOf(filter.until);
  return {
    ...(outcomes.length > 0 ? { outcomes } : {}),
    ...(filter.type !== "" ? { type: filter.type } : {}),
    ...(since !== "" ? { since } : {}),
    ...(until !== "" ? { until } : {}),
  };
}

function withNew(state: Rows, added: readonly Message[]): Rows {
  if (added.length === 0) return state;
  const rows = withoutTwins([...added, ...state.rows]);
  const total = state.total === null || state.total >= 10_000
    ? state.total
    : state.total + added.length;
  return { ...state, rows, total };
}

function withoutTwins(rows: readonly Message[]): Message[] {
  return [...new Map(rows.map((row) => [row.message_id, row])).values()];
}

interface FiltersProps {
  readonly filter: Filter;
  onChange(part: Partial<Filter>): void;
  readonly total: number | null;
  onReplay(): void;
}

function Filters({ filter, onChange, total, onReplay }: FiltersProps): VNode {
  const chosen = useMemo(() => filter.outcome.split(",").filter((each) => each !== ""), [
    filter.outcome,
  ]);
  const isBetween = filter.since !== "" || filter.until !== "";
  const [asksBetween, setAsksBetween] = useState(isBetween);
  const toggle = (outcome: string): void =>
    onChange({
      outcome: (chosen.includes(outcome)
        ? chosen.filter((each) => each !== outcome)
        : [...chosen, outcome]).join(","),
    });

  return (
    <div class="filters" role="search" aria-label="Filter deliveries">
      <div class="headline">
        <h1>Deliveries</h1>
        {total !== null && (
          <span class="muted number">{count(total)}{total >= 10_000 ? " or more" : ""}</span>
        )}
        <span class="actions">
          <button type="button" class="button" onClick={onReplay}>Replay…</button>
        </span>
      </div>
      <div class="chips" role="group" aria-label="Outcome">
        {OUTCOMES.map((outcome) => (
          <button
            key={outcome}
            type="button"
            class="chip"
            title={OUTCOME_HINTS[outcome]}
            aria-pressed={chosen.includes(outcome)}
            onClick={() => toggle(outcome)}
          >
            {outcome}
          </button>
        ))}
      </div>
      <div class="row">
        <input
          type="search"
          aria-label="Text in ids"
          maxLength={255}
          placeholder="Text in ids"
          value={filter.text}
          onInput={(event) => onChange({ text: event.currentTarget.value })}
        />
        <select
          aria-label="Type"
          value={filter.type}
          onChange={(event) => onChange({ type: event.currentTarget.value })}
        >
          <option value="">Any type</option>
          {[...new Set([...TYPES, ...(filter.type === "" ? [] : [filter.type])])].map((type) => (
            <option key={type} value={type}>{type}</option>
          ))}
        </select>
        <select
          aria-label="Received"
          value={asksBetween ? "between" : filter.minutes}
          onChange={(event) => {
            const { value } = event.currentTarget;
            setAsksBetween(value === "between");
            onChange({ minutes: value === "between" ? "" : value, since: "", until: "" });
          }}
        >
          {TIMES.map(([name, minutes]) => <option key={minutes} value={minutes}>{name}</option>)}
          <option value="between">Between…</option>
        </select>
        {asksBetween && (
          <>
            <label class="field">
              From
              <input
                type="datetime-local"
                value={filter.since}
                onInput={(event) => onChange({ since: event.currentTarget.value })}
              />
            </label>
            <label class="field">
              to
              <input
                type="datetime-local"
                value={filter.until}
                onInput={(event) => onChange({ until: event.currentTarget.value })}
              />
            </label>
          </>
        )}
      </div>
    </div>
  );
}

/** Clerk's types, to choose from. */
const TYPES = [
  ["user", "created updated deleted"],
  ["organization", "created updated deleted"],
  ["organizationMembership", "created updated deleted"],
  ["organizationInvitation", "created accepted revoked"],
  ["organizationDomain", "created updated deleted"],
  ["session", "created pending ended removed revoked"],
  ["role", "created updated deleted"],
  ["permission", "created updated deleted"],
  ["email", "created"],
  ["sms", "created"],
  ["waitlistEntry", "created updated"],
  ["paymentAttempt", "created updated"],
  ["subscription", "created updated active pastDue"],
  [
    "subscriptionItem",
    "abandoned active canceled ended freeTrialEnding incomplete pastDue upcoming updated",
  ],
].flatMap(([kind, verbs = ""]) => verbs.split(" ").map((verb) => `${kind}.${verb}`));
