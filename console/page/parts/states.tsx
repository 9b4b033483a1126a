import type { ComponentChildren, VNode } from "preact";
import type { Loaded } from "../ask.ts";
import { visible } from "../words.ts";

export function Empty(
  { title, children }: { readonly title: string; readonly children?: ComponentChildren },
): VNode {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A sentence of the server's, in which `…` are commands. */
export function Sentence({ text }: { readonly text: string }): VNode {
  const parts = visible(text).split("`");
  return <>{parts.map((part, index) => index % 2 === 1 ? <code key={index}>{part}</code> : part)}
  </>;
}

export function Note(
  { tone, children }: { readonly tone?: "bad" | "warn"; readonly children: ComponentChildren },
): VNode {
  return (
    <div class="note" data-tone={tone} role={tone === "bad" ? "alert" : undefined}>{children}</div>
  );
}

/** What was loaded; before that that it is loading, or why it cannot be. */
export function Load<Value>(
  { from: { value, error, reload }, children }: {
    readonly from: Loaded<Value>;
    readonly children: (value: Value) => ComponentChildren;
  },
): VNode {
  if (value !== undefined) return <>{children(value)}</>;
  if (error === undefined) return <p class="loading" role="status">Loading…</p>;
  return (
    <Empty title="Cannot show this">
      <p role="alert">{error}</p>
      <button type="button" class="button" onClick={reload}>Try again</button>
    </Empty>
  );
}
