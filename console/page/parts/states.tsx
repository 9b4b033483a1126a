import type { ComponentChildren, VNode } from "preact";
import type { Loaded } from "../server.ts";

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
      <p role="alert">{error.message}</p>
      <button type="button" class="button" onClick={reload}>Try again</button>
    </Empty>
  );
}
