/** What a check of `doctor` found out. Texts are sentences for an operator. */
export type Finding =
  | { readonly state: "well"; readonly text: string }
  | {
    readonly state: "wrong";
    readonly text: string;
    /** What to do. */
    readonly cure: string;
    /** What `--fix` does; undefined if that is left to people. */
    readonly fix?: Fix | undefined;
    /** Everything that is wrong, where the text names only the first. */
    readonly objects?: readonly string[];
  }
  /** The text says why. */
  | { readonly state: "unknown"; readonly text: string };

/** A cure that is safe to carry out. */
export interface Fix {
  /** What it does, a line each, without secrets. */
  readonly steps: readonly string[];
  /** Carries it out; undefined if the steps are SQL and there is no way to run it. */
  readonly run: (() => Promise<void>) | undefined;
}

/** For checks that need the database to tell about itself. */
export const NOT_INSPECTED = unknown("The database cannot be inspected: see above.");

export function well(text: string): Finding {
  return { state: "well", text };
}

export function wrong(text: string, cure: string, fix?: Fix): Finding {
  return { state: "wrong", text, cure, fix };
}

export function unknown(text: string): Finding {
  return { state: "unknown", text };
}

/** Some names in a sentence, and how many more there are. */
export function some(names: readonly string[], most = 6): string {
  const more = names.length - most;
  return names.slice(0, most).join(", ") + (more > 0 ? `, and ${more} more` : "");
}
