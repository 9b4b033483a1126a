import type { VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import { parseExactly } from "../../../operations/exact_json.ts";
import { counted, visible } from "../words.ts";
import { CopyButton } from "./copy.tsx";

/** Entries of an object or list that are shown before the reader asks for more. */
const MOST_ENTRIES = 100;
/** Characters of a text, likewise. */
const MOST_CHARACTERS = 300;
/** Levels that are open at first. */
const OPEN_LEVELS = 2;

/** JSON as a tree that opens, with search. Every value is shown as text. */
export function JsonTree({ text, name }: { readonly text: string; readonly name: string }): VNode {
  const [search, setSearch] = useState("");
  const parsed = useMemo(() => parse(text), [text]);
  const wanted = search.trim().toLowerCase();
  const hits = useMemo(() => wanted === "" ? null : hitsIn(parsed, wanted), [parsed, wanted]);

  return (
    <>
      <div class="json-bar">
        <label>
          <span class="visually-hidden">Search in {name}</span>
          <input
            type="search"
            placeholder={`Search in ${name}`}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </label>
        <span class="muted" role="status">
          {hits === null ? "" : counted(hits.number, "match", "matches")}
        </span>
        <CopyButton text={() => pretty(parsed, text)} what={`the ${name}`}>Copy JSON</CopyButton>
      </div>
      <div class="json">
        <Node name={null} value={parsed} level={0} wanted={wanted} hits={hits} />
      </div>
    </>
  );
}

/** Indented; as it came if it is no JSON. */
function pretty(parsed: unknown, text: string): string {
  return parsed === undefined ? text : JSON.stringify(parsed, null, 2);
}

function parse(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return text;
  }
}

interface Hits {
  readonly number: number;
  /** Objects and lists that contain a match. */
  readonly above: ReadonlySet<unknown>;
}

function hitsIn(root: unknown, wanted: string): Hits {
  const above = new Set<unknown>();
  let number = 0;
  const look = (name: string, value: unknown): boolean => {
    const isNamed = name.toLowerCase().includes(wanted);
    if (!isTree(value)) {
      const isHit = isNamed || leafText(value).toLowerCase().includes(wanted);
      if (isHit) number++;
      return isHit;
    }
    if (isNamed) number++;
    // Every entry is looked at, so that all are counted.
    const isAbove = entriesOf(value).map(([key, each]) => look(key, each)).includes(true);
    if (isAbove) above.add(value);
    return isNamed || isAbove;
  };
  look("", root);
  return { number, above };
}

/** Whether it is an object or a list; a number that JavaScript would round is neither. */
function isTree(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    !(JSON as unknown as { isRawJSON?(value: unknown): boolean }).isRawJSON?.(value);
}

function entriesOf(value: object): [string, unknown][] {
  return Object.entries(value);
}

function leafText(value: unknown): string {
  return visible(typeof value === "string" ? value : JSON.stringify(value) ?? "");
}

interface NodeProps {
  readonly name: string | null;
  readonly value: unknown;
  readonly level: number;
  readonly wanted: string;
  readonly hits: Hits | null;
}

function Node({ name, value, level, wanted, hits }: NodeProps): VNode {
  const key = name === null ? null : (
    <span class="key">
      <Marked text={visible(name)} wanted={wanted} />
      {": "}
    </span>
  );
  if (!isTree(value)) {
    return (
      <div class="leaf">
        {key}
        <Leaf value={value} wanted={wanted} />
      </div>
    );
  }
  return (
    <Branch key={String(hits !== null)} {...{ name, value, level, wanted, hits }} label={key} />
  );
}

function Branch(
  { value, level, wanted, hits, label }: NodeProps & {
    readonly value: object;
    readonly label: VNode | null;
  },
): VNode {
  const [isOpened, setOpened] = useState<boolean | null>(null);
  const [shown, setShown] = useState(MOST_ENTRIES);
  const isOpen = isOpened ?? (hits === null ? level < OPEN_LEVELS : hits.above.has(value));
  const entries = entriesOf(value);
  const isList = Array.isArray(value);
  const size = isList ? counted(entries.length, "item") : counted(entries.length, "field");

  if (entries.length === 0) {
    return (
      <div class="leaf">
        {label}
        <span class="muted">{isList ? "[]" : "{}"}</span>
      </div>
    );
  }
  return (
    <details open={isOpen} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary>
        {label}
        <span class="muted">{isList ? `[ ${size} ]` : `{ ${size} }`}</span>
      </summary>
      {isOpen && (
        <ul>
          {entries.slice(0, shown).map(([key, each]) => (
            <li key={key} class={isTree(each) && entriesOf(each).length > 0 ? undefined : "leaf"}>
              <Node name={key} value={each} level={level + 1} wanted={wanted} hits={hits} />
            </li>
          ))}
          {entries.length > shown && (
            <li>
              <button
                type="button"
                class="button quiet small"
                onClick={() => setShown(shown + 1000)}
              >
                Show more of {counted(entries.length, "entry", "entries")}
              </button>
            </li>
          )}
        </ul>
      )}
    </details>
  );
}

function Leaf({ value, wanted }: { readonly value: unknown; readonly wanted: string }): VNode {
  const [isWhole, setWhole] = useState(false);
  const text = leafText(value);
  const isText = typeof value === "string";
  const quote = isText ? '"' : "";
  const isCut = !isWhole && text.length > MOST_CHARACTERS;
  return (
    <span class={isText ? "string" : "literal"}>
      {quote}
      <Marked text={isCut ? text.slice(0, MOST_CHARACTERS) : text} wanted={wanted} />
      {isCut
        ? (
          <button type="button" class="button quiet small" onClick={() => setWhole(true)}>
            … show all {counted(text.length, "character")}
          </button>
        )
        : quote}
    </span>
  );
}

/** The text, with the first match marked. */
function Marked({ text, wanted }: { readonly text: string; readonly wanted: string }): VNode {
  const at = wanted === "" ? -1 : text.toLowerCase().indexOf(wanted);
  if (at === -1) return <>{text}</>;
  const end = at + wanted.length;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, end)}</mark>
      {text.slice(end)}
    </>
  );
}
