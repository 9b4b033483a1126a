import type { ComponentChildren, VNode } from "preact";

export function Card(
  { title, beside, isLive = false, children }: {
    readonly title: string;
    readonly beside?: ComponentChildren;
    /** Whether a screen reader tells when it changes. */
    readonly isLive?: boolean;
    readonly children: ComponentChildren;
  },
): VNode {
  return (
    <section class="card" aria-live={isLive ? "polite" : undefined}>
      <header>
        <h2>{title}</h2>
        {beside}
      </header>
      {children}
    </section>
  );
}

/** What stands in a card with space around it. */
export function Body({ children }: { readonly children: ComponentChildren }): VNode {
  return <div class="body stack">{children}</div>;
}

/** What scrolls sideways has to be reachable with the keyboard. */
function focusableIfWider(element: HTMLElement | null): void {
  if (element === null) return;
  if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
  else element.removeAttribute("tabindex");
}

/** A table whose columns are numbers from one on; without heads, its first column has labels. */
export function Table(
  { head = [], numbersFrom = Infinity, children }: {
    readonly head?: readonly string[];
    readonly numbersFrom?: number;
    readonly children: ComponentChildren;
  },
): VNode {
  return (
    <div class="table-wrap" ref={focusableIfWider}>
      <table class={head.length === 0 ? "labelled" : undefined}>
        {head.length > 0 && (
          <thead>
            <tr>
              {head.map((name, index) => (
                <th key={name} scope="col" class={index >= numbersFrom ? "number" : undefined}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** A name and what it stands for, in a list of class pairs. */
export function Pair(
  { name, children }: { readonly name: string; readonly children: ComponentChildren },
): VNode {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
