import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Message } from "../../api.ts";
import { Age } from "./age.tsx";
import { Badge } from "./badge.tsx";
import { ShortId } from "./copy.tsx";

const ROW = 36;
const HEAD = 32;
/** Rows that are drawn beyond the edges. */
const MARGIN = 8;
/** How close to the end the next page is asked for, in rows. */
const AHEAD = 40;

interface MessageListProps {
  readonly rows: readonly Message[];
  readonly openId: string | null;
  /** Whether older ones can be loaded. */
  readonly hasMore: boolean;
  hrefOf(id: string): string;
  onOpen(id: string): void;
  onEnd(): void;
  onScroll(isAtTop: boolean): void;
}

/** Messages, of which only those on the screen are in the document. Arrows move, Enter opens. */
export function MessageList(
  { rows, openId, hasMore, hrefOf, onOpen, onEnd, onScroll }: MessageListProps,
): VNode {
  const scroller = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  /** Which row has, or gets, the focus; by id, because new rows come in above it. */
  const [activeId, setActiveId] = useState<string | null>(null);
  const wantsFocus = useRef(false);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const watching = new ResizeObserver(() => setHeight(element.clientHeight));
    watching.observe(element);
    return () => watching.disconnect();
  }, []);

  const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + MARGIN);
  const current = activeId ?? openId;
  const active = Math.max(0, rows.findIndex(({ message_id }) => message_id === current));

  useEffect(() => {
    if (hasMore && last > rows.length - AHEAD) onEnd();
  }, [last, rows.length, hasMore]);

  // A layout effect, because the effect of an earlier render could still wait for its frame, and would
  // take the wish for its own.
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(current ?? "")}"] a`)
      ?.focus({
        preventScroll: true,
      });
  });

  const moveTo = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    const element = scroller.current;
    if (row === undefined || element === null) return;
    const at = rows.indexOf(row) * ROW;
    const visible = element.clientHeight - HEAD;
    if (at < element.scrollTop) element.scrollTop = at;
    if (at + ROW > element.scrollTop + visible) element.scrollTop = at + ROW - visible;
    wantsFocus.current = true;
    setTop(element.scrollTop);
    setActiveId(row.message_id);
    if (openId !== null) onOpen(row.message_id);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor((height - HEAD) / ROW) - 1);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length,
    };
    const step = steps[event.key];
    if (step === undefined || event.metaKey || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    moveTo(active + step);
  };

  return (
    <div
      class="list-scroll"
      ref={scroller}
      role="table"
      aria-label="Deliveries, newest first"
      aria-rowcount={hasMore ? -1 : rows.length + 1}
      onScroll={(event) => {
        setTop(event.currentTarget.scrollTop);
        onScroll(event.currentTarget.scrollTop < ROW / 2);
      }}
      onKeyDown={onKeyDown}
    >
      <div role="rowgroup" class="list-row-group">
        <div role="row" class="list-row list-head" aria-rowindex={1}>
          <span role="columnheader">Outcome</span>
          <span role="columnheader">Type</span>
          <span role="columnheader" class="wide">Object</span>
          <span role="columnheader" class="message">Message</span>
          <span role="columnheader" class="wide">Next try</span>
          <span role="columnheader" class="end wide">Sent</span>
          <span role="columnheader" class="end">Received</span>
        </div>
      </div>
      <Space height={rows.length * ROW}>
        {rows.slice(first, last).map((row, index) => (
          <Row
            key={row.message_id}
            row={row}
            at={first + index}
            isOpen={row.message_id === openId}
            isTabStop={first + index === active ||
              (index === 0 && (active < first || active >= last))}
            href={hrefOf(row.message_id)}
            onFocus={() => setActiveId(row.message_id)}
          />
        ))}
      </Space>
    </div>
  );
}

/** The height of all rows. Set as a property: the page's policy forbids style attributes. */
function Space(
  { height, children }: { readonly height: number; readonly children: VNode[] },
): VNode {
  return (
    <div role="rowgroup" class="list-space list-body" style={{ height: `${height}px` }}>
      {children}
    </div>
  );
}

interface RowProps {
  readonly row: Message;
  readonly at: number;
  readonly isOpen: boolean;
  readonly isTabStop: boolean;
  readonly href: string;
  readonly onFocus: () => void;
}

function Row({ row, at, isOpen, isTabStop, href, onFocus }: RowProps): VNode {
  const next = row.next_tries.find((time) => Date.parse(time) > Date.now()) ?? null;
  return (
    <div
      role="row"
      class="list-row"
      aria-rowindex={at + 2}
      data-id={row.message_id}
      style={{ top: `${at * ROW}px` }}
    >
      <span role="cell">
        <Badge word={row.outcome} />
      </span>
      <span role="cell">
        <a
          href={href}
          tabIndex={isTabStop ? 0 : -1}
          aria-current={isOpen ? "true" : undefined}
          onFocus={onFocus}
        >
          {row.type ?? "no type"}
        </a>
      </span>
      <span role="cell" class="wide muted">
        {row.object_id === null ? "–" : <ShortId id={row.object_id} />}
      </span>
      <span role="cell" class="message muted">
        <ShortId id={row.message_id} />
      </span>
      <span role="cell" class="wide muted">{next === null ? "" : <Age at={next} />}</span>
      <span role="cell" class="end wide" title={`Delivered ${row.deliveries} times`}>
        {row.deliveries > 1 ? `${row.deliveries} ×` : ""}
      </span>
      <span role="cell" class="end muted">
        <Age at={row.received_at} />
      </span>
    </div>
  );
}
