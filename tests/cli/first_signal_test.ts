import { assertEquals } from "@std/assert";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const USAGE = fileURLToPath(new URL("../../cli/usage.ts", import.meta.url));

/** A command that takes four seconds to stop. Sends it two signals, this far apart, and returns its end. */
async function endAfterTwoSignals(apart: number): Promise<Deno.CommandStatus> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { firstSignal } from "${USAGE}";
      const first = firstSignal("ends");
      console.log("ready");
      await first;
      await new Promise((resolve) => setTimeout(resolve, 4000));
      Deno.exit(0);`,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const output = command.stdout.getReader();
  await output.read();

  command.kill("SIGINT");
  await setTimeout(apart);
  command.kill("SIGINT");
  await output.cancel();
  return await command.status;
}

Deno.test("a Ctrl-C that arrives twice, as npm passes it on, is one, and a second one ends at once", async () => {
  const [once, twice] = await Promise.all([endAfterTwoSignals(50), endAfterTwoSignals(1500)]);

  assertEquals([once.code, once.signal, twice.signal], [0, null, "SIGINT"]);
});
