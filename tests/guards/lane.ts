import { StartError } from "../../local/start_error.ts";
import { type CheckoutCopy, copyCheckout } from "../deploy/checkout_copy.ts";
import type { PostgresAddress } from "../../local/postgres/postgres.ts";
import { startTestServer, TEST_SERVER_VARIABLE, testServerValue } from "../test_server.ts";
import { mutate, type Mutation } from "./mutation.ts";
import { whyUnsound } from "./soundness.ts";
import { readJunit, type TestReport } from "../junit.ts";
import { judge, type Verdict } from "./verdict.ts";

/** How long the tests of one mutation may take, ms. */
const LIMIT = 180_000;

type Tests = Pick<Mutation, "test" | "filter">;

/** Runs without a mutation, by the tests they ran: several mutations share them. */
export type GreenRuns = Map<string, Promise<TestReport | undefined>>;

/** A copy of the checkout in which one mutation at a time is tried. */
export class Lane implements AsyncDisposable {
  readonly #copy: CheckoutCopy;
  readonly #server: PostgresAddress;
  readonly #greenRuns: GreenRuns;

  private constructor(copy: CheckoutCopy, server: PostgresAddress, greenRuns: GreenRuns) {
    this.#copy = copy;
    this.#server = server;
    this.#greenRuns = greenRuns;
  }

  /**
   * @param server with the migrations as they are
   * @param greenRuns shared by all lanes
   */
  static async open(server: PostgresAddress, greenRuns: GreenRuns): Promise<Lane> {
    return new Lane(await copyCheckout(), server, greenRuns);
  }

  /** @throws {StaleMutationError} when the text to be mutated is not in its file exactly once */
  async try(mutation: Mutation): Promise<Verdict> {
    const path = `${this.#copy.folder}/${mutation.file}`;
    const text = await Deno.readTextFile(path);
    const mutated = mutate(text, mutation);

    const green = await this.#runUnmutated(mutation);
    if (green === undefined || green.failed.length > 0 || green.passed.length === 0) {
      return { kind: "invalid", why: "the tests are not green without it" };
    }

    await Deno.writeTextFile(path, mutated);
    try {
      return mutation.file.startsWith("supabase/migrations/")
        ? await this.#tryMigrations(mutation, green)
        : judge(green, await this.#run(mutation, this.#server));
    } finally {
      await Deno.writeTextFile(path, text);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copy[Symbol.asyncDispose]();
  }

  /** Uses a server of its own, because roles and their rights belong to the whole server. */
  async #tryMigrations(mutation: Mutation, green: TestReport): Promise<Verdict> {
    const started = await startTestServer(`${this.#copy.folder}/supabase/migrations`)
      .catch((error) => {
        if (error instanceof StartError) return error;
        throw error;
      });
    if (started instanceof StartError) return { kind: "invalid", why: started.message };
    await using server = started;

    const why = await whyUnsound(server);
    if (why !== undefined) return { kind: "invalid", why };
    return judge(green, await this.#run(mutation, server));
  }

  #runUnmutated(tests: Tests): Promise<TestReport | undefined> {
    const key = JSON.stringify([tests.test, tests.filter]);
    const run = this.#greenRuns.get(key) ?? this.#run(tests, this.#server);
    this.#greenRuns.set(key, run);
    return run;
  }

  /** Runs tests in the copy; undefined when that gives no report. */
  async #run({ test, filter }: Tests, server: PostgresAddress): Promise<TestReport | undefined> {
    const report = await Deno.makeTempFile({ prefix: "clerk-sync-guards-", suffix: ".xml" });
    try {
      await new Deno.Command(Deno.execPath(), {
        args: [
          "test",
          "--allow-all",
          // Code with a type error may still run, and must be caught by its behavior.
          "--no-check",
          `--junit-path=${report}`,
          ...(filter === undefined ? [] : ["--filter", filter]),
          test,
        ],
        cwd: this.#copy.folder,
        // The same seed in all runs: some tests have it in their name.
        env: { [TEST_SERVER_VARIABLE]: testServerValue(server), SEED: "1" },
        stdout: "null",
        stderr: "null",
        signal: AbortSignal.timeout(LIMIT),
      }).output();
      const xml = await Deno.readTextFile(report);
      return xml === "" ? undefined : readJunit(xml);
    } finally {
      await Deno.remove(report);
    }
  }
}
