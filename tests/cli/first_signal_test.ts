import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { settlesWithin } from "../../local/settles_within.ts";

const USAGE = fileURLToPath(new URL("../../cli/usage.ts", import.meta.url));

/**
 * A command that stops when its input ends, which it does some time after two signals. Between these, so many
 * milliseconds pass on the clock of the command. Returns its end.
 */
async function endAfterTwoSignals(
  apart: number,
  patience: number,
): Promise<Deno.CommandStatus> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { firstSignal } from "${USAGE}";
      const timers = [];
      globalThis.setTimeout = (run, milliseconds) => timers.push({ run, milliseconds });
      const first = firstSignal("ends");
      console.log("ready");
      await first;
      for (const { run, milliseconds } of timers) if (milliseconds <= ${apart}) run();
      console.log("again");
      for await (const _ of Deno.stdin.readable);
      Deno.exit(0);`,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = command.stdout.getReader();
  await output.read();

  command.kill("SIGINT");
  await output.read();
  command.kill("SIGINT");
  await settlesWithin(command.status, patience);
  await command.stdin.close().catch(() => {});
  await output.cancel();
  return await command.status;
}

Deno.test("a Ctrl-C that arrives twice, as npm passes it on, is one, and a second one ends at once", async () => {
  const [once, twice] = await Promise.all([
    endAfterTwoSignals(50, 2_000),
    endAfterTwoSignals(800, 60_000),
  ]);

  assertEquals([once.code, once.signal, twice.signal], [0, null, "SIGINT"]);
});
