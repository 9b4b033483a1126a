import type { VNode } from "preact";
import { OUTCOME_HINTS, spaced, type Tone, toneOf } from "../words.ts";

/** An outcome or a state, as a word with a colour. */
export function Badge({ word, tone }: { readonly word: string; readonly tone?: Tone }): VNode {
  const hint = (OUTCOME_HINTS as Readonly<Record<string, string>>)[word];
  return <span class="badge" data-tone={tone ?? toneOf(word)} title={hint}>{spaced(word)}</span>;
}
