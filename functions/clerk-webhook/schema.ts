import * as z from "zod/mini";

// By default zod compiles each object's schema at its first use. See COMPILED_AFTER.
z.config({ jitless: true });

/**
 * After so many uses a schema is compiled. That takes as long as some thousand values take it
 * uncompiled: a function that has just been started would wait for what it may never get back.
 */
const COMPILED_AFTER = 2_000;

/** A schema of zod that is made when it is first used, and compiled when it is used a lot. */
export class Schema<T extends z.ZodMiniType = z.ZodMiniType> {
  readonly #make: () => T;
  #schema: T | undefined;
  #uses = 0;

  constructor(make: () => T) {
    this.#make = make;
  }

  /** As zod's own: same data, same issues, compiled or not. */
  safeParse(value: unknown): z.core.util.SafeParseResult<z.output<T>> {
    this.#schema ??= this.#make();
    if (++this.#uses === COMPILED_AFTER) this.#schema = z.compile(this.#schema);
    return this.#schema.safeParse(value);
  }
}
