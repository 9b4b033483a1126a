/** A test that starts processes, and perhaps the Postgres server that tests share, which outlives it. */
export function faultTest(name: string, test: () => Promise<void>): void {
  Deno.test({ name, fn: test, sanitizeOps: false, sanitizeResources: false });
}
