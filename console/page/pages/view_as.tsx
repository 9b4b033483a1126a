import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { People, SessionToken, TableRows, Tables } from "../../api.ts";
import { useGeneration } from "../live.ts";
import { Badge } from "../parts/badge.tsx";
import { Body, Card } from "../parts/card.tsx";
import { Command } from "../parts/copy.tsx";
import { Value } from "../parts/diff.tsx";
import { Empty, Load, Note } from "../parts/states.tsx";
import { useProject } from "../project.ts";
import { replaceRoute, useRoute } from "../route.ts";
import { post, sentenceOf, useLoaded } from "../ask.ts";
import { count, counted, visible } from "../words.ts";

/** Rows that are asked for, of either kind. */
const MOST_ROWS = 50;

type Row = Readonly<Record<string, unknown>>;

/** What a person gets, as their browser would ask: row-level security decides. */
export function ViewAs(): VNode {
  const { values } = useRoute();
  const { sub = "", org = "", role = "", table = "profiles" } = values;
  const tables = useLoaded<Tables>("/api/tables");
  const chosen = tables.value?.tables.find(({ name }) => name === table);
  const set = (part: Readonly<Record<string, string>>): void =>
    replaceRoute("view-as", { ...values, ...part });

  return (
    <div class="sheet">
      <div class="headline">
        <h1>View as</h1>
        <p>
          This page asks the API with that person's session token, as their browser would, and shows
          what comes back beside what exists.
        </p>
      </div>
      <div class="grid-2">
        <Who sub={sub} org={org} onChange={set} />
        <Card title="Table">
          <Body>
            <Load from={tables}>
              {({ tables }) => (
                <TableChoice
                  tables={tables}
                  table={table}
                  onChange={(name) => set({ table: name })}
                />
              )}
            </Load>
            {sub !== "" && <Command words={tokenWords(sub, org, role)} />}
          </Body>
        </Card>
      </div>
      {chosen !== undefined && (
        <Compared
          key={table}
          {...{ sub, org, role, table }}
          primaryKey={chosen.key}
          columns={chosen.columns}
        />
      )}
    </div>
  );
}

function tokenWords(sub: string, org: string, role: string): string {
  const organization = org === "" ? "" : ` --org ${org}`;
  return `token --sub ${sub}${organization}${
    role === "" ? "" : ` --role ${role.replace(/^org:/, "")}`
  }`;
}

function TableChoice(
  { tables, table, onChange }: {
    readonly tables: Tables["tables"];
    readonly table: string;
    readonly onChange: (name: string) => void;
  },
): VNode {
  const chosen = tables.find(({ name }) => name === table);
  const group = (isOurs: boolean): VNode[] =>
    tables.filter(({ is_ours }) => is_ours === isOurs).map(({ name, rows }) => (
      <option key={name} value={name}>
        {name} {rows === null ? "(cannot be read)" : `(${count(rows)})`}
      </option>
    ));
  return (
    <>
      <label class="field">
        Table of schema public
        <select value={table} onChange={(event) => onChange(event.currentTarget.value)}>
          <optgroup label="Synced">{group(true)}</optgroup>
          {tables.some(({ is_ours }) => !is_ours) && (
            <optgroup label="Yours">{group(false)}</optgroup>
          )}
        </select>
      </label>
      {chosen !== undefined && !chosen.has_rls && (
        <Note tone="warn">
          <p>
            <strong>Row-level security is off for this table.</strong>{" "}
            Everybody with a grant reads every row.
          </p>
        </Note>
      )}
    </>
  );
}

/** Nobody, a user, or a user within an organization. */
function Who(
  { sub, org, onChange }: {
    readonly sub: string;
    readonly org: string;
    readonly onChange: (part: Readonly<Record<string, string>>) => void;
  },
): VNode {
  const [text, setText] = useState("");
  const people = useLoaded<People>(`/api/people?text=${encodeURIComponent(text.trim())}`);
  const chosen = useLoaded<People>(
    sub === "" ? null : `/api/people?text=${encodeURIComponent(sub)}`,
  );
  const person = chosen.value?.people.find(({ id }) => id === sub);
  const found = people.value?.people ?? [];
  return (
    <Card title="Who">
      <Body>
        <label class="field">
          Find a person
          <input
            type="search"
            placeholder="A name, an address or an id"
            maxLength={255}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          View as
          <select
            value={sub}
            onChange={(event) => onChange({ sub: event.currentTarget.value, org: "", role: "" })}
          >
            <option value="">nobody who is signed in (anon)</option>
            {sub !== "" && !found.some(({ id }) => id === sub) && (
              <option value={sub}>{visible(person?.name ?? sub)}</option>
            )}
            {found.map(({ id, name, email }) => (
              <option key={id} value={id}>
                {visible([name, email].filter(Boolean).join(" · ") || id)}
              </option>
            ))}
          </select>
        </label>
        {sub !== "" && (
          <label class="field">
            Active organization
            <select
              value={org}
              onChange={(event) => {
                const { value } = event.currentTarget;
                const role = person?.organizations.find(({ id }) => id === value)?.role ?? "";
                onChange({ org: value, role });
              }}
            >
              <option value="">none</option>
              {(person?.organizations ?? []).map(({ id, name, role }) => (
                <option key={id} value={id}>
                  {visible(name ?? id)}
                  {role === null ? "" : ` (${role})`}
                </option>
              ))}
            </select>
          </label>
        )}
      </Body>
    </Card>
  );
}

interface Seen {
  readonly rows: readonly Row[];
  readonly total: number;
  /** Why nothing came back. */
  readonly refusal: string | null;
}

interface Asker {
  readonly sub: string;
  readonly org: string;
  readonly role: string;
  readonly table: string;
  readonly primaryKey: readonly string[];
  readonly columns: readonly string[];
}

function Compared(asker: Asker): VNode {
  const { sub, org, role, table, primaryKey, columns } = asker;
  const { url, publishable_key } = useProject();
  const generation = useGeneration();
  const exists = useLoaded<TableRows>(
    `/api/tables/${encodeURIComponent(table)}?limit=${MOST_ROWS}`,
  );
  const [seen, setSeen] = useState<Seen | null>(null);
  const [error, setError] = useState<string | null>(null);

  useEffect(() => {
    let isOver = false;
    setError(null);
    ask(asker, url, publishable_key ?? "").then(
      (answer) => isOver || setSeen(answer),
      (failure) => isOver || setError(sentenceOf(failure)),
    );
    return () => void (isOver = true);
  }, [sub, org, role, table, generation]);

  const keys = useMemo(() => new Set((seen?.rows ?? []).map((row) => keyOf(row, primaryKey))), [
    seen,
  ]);
  return (
    <>
      <Card
        title="What comes back"
        isLive
        beside={seen?.refusal === null && <Badge word={counted(seen.total, "row")} tone="accent" />}
      >
        {error !== null
          ? (
            <Body>
              <Note tone="bad">{error}</Note>
            </Body>
          )
          : seen === null
          ? <p class="loading" role="status">Loading…</p>
          : seen.refusal !== null
          ? (
            <Body>
              <Note tone="warn">
                <strong>Refused</strong> {seen.refusal}
              </Note>
            </Body>
          )
          : seen.rows.length === 0
          ? (
            <Empty title="No row">
              <p>The policies of {table} let this person read nothing of what exists.</p>
            </Empty>
          )
          : (
            <RowTable
              columns={columns}
              name="What comes back"
              rows={seen.rows}
              primaryKey={primaryKey}
            />
          )}
      </Card>
      <Card
        title="What exists"
        beside={exists.value !== undefined && (
          <>
            <Badge word={counted(exists.value.total, "row")} />
            {exists.value.total > MOST_ROWS && (
              <span class="muted">The first {MOST_ROWS} are shown.</span>
            )}
          </>
        )}
      >
        <Load from={exists}>
          {({ rows }) =>
            rows.length === 0 ? <Empty title="The table is empty" /> : (
              <RowTable
                columns={columns}
                name="What exists"
                rows={rows}
                primaryKey={primaryKey}
                seen={keys}
              />
            )}
        </Load>
      </Card>
    </>
  );
}

async function ask(
  { sub, org, role, table, primaryKey }: Asker,
  url: string,
  key: string,
): Promise<Seen> {
  const { token } = await post<SessionToken>("/api/session-token", {
    sub: sub === "" ? null : sub,
    ...(org === "" ? {} : { org_id: org }),
    ...(role === "" ? {} : { org_role: role }),
  });
  // Only this page needs the library, which is as large as all the rest.
  const { createClient } = await import("@supabase/supabase-js");
  const supabase = createClient(url, key, { accessToken: () => Promise.resolve(token) });
  // In the order of what exists, so that whatever of it comes back is among the first.
  const query = primaryKey.reduce(
    (ordered, column) => ordered.order(inOrder(column)),
    supabase.from(encodeURIComponent(table)).select("*", { count: "exact" }),
  );
  const { data, error, count } = await query.limit(MOST_ROWS);
  if (error !== null) return { rows: [], total: 0, refusal: `${error.message} (${error.code})` };
  return { rows: data, total: count ?? data.length, refusal: null };
}

/** A column's name as PostgREST reads it. */
function inOrder(column: string): string {
  return /^\w+$/.test(column) ? column : JSON.stringify(column);
}

/** What tells a row from others: its primary key, or all of it. */
function keyOf(row: Row, primaryKey: readonly string[]): string {
  return JSON.stringify(primaryKey.length === 0 ? row : primaryKey.map((column) => row[column]));
}

/** @param seen rows that came back; without it they are not told apart */
function RowTable(
  { name, rows, columns, primaryKey, seen }: {
    readonly name: string;
    readonly columns: readonly string[];
    readonly rows: readonly Row[];
    readonly primaryKey: readonly string[];
    readonly seen?: ReadonlySet<string>;
  },
): VNode {
  return (
    <div class="table-wrap rows" tabIndex={0} role="region" aria-label={`${name}: rows`}>
      <table>
        <thead>
          <tr>
            {seen !== undefined && <th scope="col">Read</th>}
            {columns.map((column) => <th key={column} scope="col" class="mono">{column}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row, primaryKey);
            const isSeen = seen?.has(key) ?? true;
            return (
              <tr key={key} class={isSeen ? undefined : "unseen"}>
                {seen !== undefined && (
                  <td>
                    <Badge word={isSeen ? "visible" : "hidden"} tone={isSeen ? "good" : "plain"} />
                  </td>
                )}
                {columns.map((column) => (
                  <td key={column} class="mono">
                    <Value value={row[column]} />
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
