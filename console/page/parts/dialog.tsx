import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { sentenceOf } from "../ask.ts";
import { CommandLine } from "./copy.tsx";
import { Note } from "./states.tsx";

/** A modal dialog. Esc, or a click beside it, closes it. */
export function Dialog(
  { title, onClose, children }: {
    readonly title: string;
    readonly onClose: () => void;
    readonly children: ComponentChildren;
  },
): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="dialog">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something is done: what will happen, the command that does the same, and yes or no. */
export function Confirm(
  { title, command, verb, isDanger = false, onDo, onClose, children }: {
    readonly title: string;
    readonly command?: string;
    readonly verb: string;
    readonly isDanger?: boolean;
    /** Returns what to say afterwards; without that the dialog closes. */
    readonly onDo: () => Promise<string | void> | void;
    readonly onClose: () => void;
    readonly children: ComponentChildren;
  },
): VNode {
  const [done, setDone] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const act = async (): Promise<void> => {
    setError(null);
    try {
      const said = await onDo();
      if (said === undefined) onClose();
      else setDone(said);
    } catch (failure) {
      setError(sentenceOf(failure));
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {command !== undefined && <CommandLine text={command} />}
      {error !== null && <Note tone="bad">{error}</Note>}
      {done !== null && <p role="status">{done}</p>}
      <div class="actions">
        <button type="button" class="button" onClick={onClose}>
          {done === null ? "Cancel" : "Done"}
        </button>
        {done === null && (
          <button type="button" class={`button ${isDanger ? "danger" : "primary"}`} onClick={act}>
            {verb}
          </button>
        )}
      </div>
    </Dialog>
  );
}
