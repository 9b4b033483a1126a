/**
 * The version of this code. The schema has its own, in the comment of schema clerk_sync, because the two are
 * never deployed at once.
 */
export const VERSION = "1.0.0";
