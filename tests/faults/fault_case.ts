/** A test that starts processes. The shared Postgres server may be one of them, and outlives the test. */
export function faultTest(name: string, test: () => Promise<void>): void {
  Deno.test({ name, fn: test, sanitizeOps: false, sanitizeResources: false });
}
