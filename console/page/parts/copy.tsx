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
  { text, what, children }: {
    readonly text: string | (() => string);
    readonly what: string;
    readonly children?: ComponentChildren;
  },
): VNode {
  return (
    <button
      type="button"
      class="button quiet small"
      aria-label={children === undefined ? `Copy ${what}` : undefined}
      onClick={() => copy(typeof text === "string" ? text : text(), what)}
    >
      {children ?? "Copy"}
    </button>
  );
}

/** An id, cut in its middle. */
export function ShortId({ id }: { readonly id: string }): VNode {
  return (
    <span class="mono short-id" title={id}>
      {id.replace(/^((?:[a-z]+_)*.{5}).{3,}(.{5})$/, "$1…$2")}
    </span>
  );
}

/** An id that copies itself when clicked. */
export function Id(
  { id, isShort = false }: { readonly id: string; readonly isShort?: boolean },
): VNode {
  return (
    <button
      type="button"
      class="id"
      title={`${id}\nClick to copy`}
      aria-label={`Copy ${id}`}
      onClick={() => copy(id, id)}
    >
      {isShort ? <ShortId id={id} /> : id}
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
