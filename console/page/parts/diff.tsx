import type { VNode } from "preact";
import type { ColumnChange } from "../../api.ts";
import { valueText } from "../words.ts";

/** What an event changed, column by column. */
export function Diff({ changes }: { readonly changes: readonly ColumnChange[] }): VNode {
  return (
    <table class="diff">
      <thead>
        <tr>
          <th scope="col">Column</th>
          <th scope="col">Before</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        {changes.map((change) => (
          <tr key={change.column}>
            <th scope="row">{change.column}</th>
            {"after" in change
              ? (
                <>
                  <td class="before mono">
                    <Value value={change.before} />
                  </td>
                  <td class="after mono">
                    <Value value={change.after} />
                  </td>
                </>
              )
              : <td colSpan={2} class="muted">changed; its value is not shown</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Characters that are shown before the reader asks for more. */
const MOST = 200;

/** A value of a column; a long one opens. */
export function Value({ value }: { readonly value: unknown }): VNode {
  const text = valueText(value);
  if (text.length <= MOST) return <>{text}</>;
  return (
    <details>
      <summary>{text.slice(0, MOST)}…</summary>
      {text}
    </details>
  );
}
