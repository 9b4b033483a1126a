import type { ComponentChildren, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useProject } from "../project.ts";

let announce: (text: string) => void = () => {};

async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce(`Copied ${what}`);
  } catch {
    announce("The browser does not allow copying here");
  }
}

/** Says what was copied, also to screen readers. */
export function Toast(): VNode {
  const [text, setText] = useState("");
  useEffect(() => {
    let timer = 0;
    announce = (said) => {
      clearTimeout(timer);
      setText(said);
      timer = setTimeout(() => setText(""), 2000);
    };
  }, []);
  return <div class="toast" role="status">{text}</div>;
}

export function CopyButton(
  { text, what, children = "Copy" }: {
    readonly text: string | (() => string);
    readonly what: string;
    readonly children?: ComponentChildren;
  },
): VNode {
  return (
    <button
      type="button"
      class="button quiet small"
      aria-label={`Copy ${what}`}
      onClick={() => copy(typeof text === "string" ? text : text(), what)}
    >
      {children}
    </button>
  );
}

/** Characters at the end of an id that are never cut off. */
const TAIL = 5;

/** An id, cut in the middle where there is no room. It copies itself when clicked, unless it is plain. */
export function Id(
  { id, isPlain = false }: { readonly id: string; readonly isPlain?: boolean },
): VNode {
  const parts = (
    <>
      <span class="head">{id.slice(0, -TAIL)}</span>
      <span class="tail">{id.slice(-TAIL)}</span>
    </>
  );
  if (isPlain) return <span class="id" title={id}>{parts}</span>;
  return (
    <button
      type="button"
      class="id"
      title={`${id}\nClick to copy`}
      aria-label={`Copy ${id}`}
      onClick={() => copy(id, id)}
    >
      {parts}
    </button>
  );
}

/** A command of ours as the reader types it, such as `replay msg_2x…`, with a button that copies it. */
export function Command({ words }: { readonly words: string }): VNode {
  const { command, env_flag } = useProject();
  return <CommandLine text={`${command} ${words}${env_flag}`} />;
}

/** A whole command line. */
export function CommandLine({ text }: { readonly text: string }): VNode {
  return (
    <div class="command">
      <code>{text}</code>
      <CopyButton text={text} what="the command" />
    </div>
  );
}
