import { assertEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { carryOut, type Step, UNFINISHED } from "../../adopt/plan.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Carries out a plan of a command up to before one of its steps, whose file is then half written. The first
 * two and the last two are killed for real; the others, which are alike, throw, which is faster.
 */
export async function interruptBefore(
  number: number,
  { command, dir, steps, now }: {
    readonly command: "upgrade" | "uninstall";
    readonly dir: string;
    readonly steps: readonly Step[];
    readonly now: Date;
  },
): Promise<void> {
  if (number < 2 || number >= steps.length - 2) {
    const { signal } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", "tests/adopt/interrupted.ts"],
        ...[command, dir, String(number), now.toISOString()],
      ],
      cwd: ROOT,
    }).output();
    assertEquals(signal, "SIGKILL");
  } else {
    let count = 0;
    const onStep = (): void => {
      if (count++ === number) throw new Error("interrupted");
    };
    await assertRejects(() => carryOut(dir, steps, onStep), Error, "interrupted");
  }
  await Deno.writeTextFile(`${dir}/${UNFINISHED}`, steps[number]?.text?.slice(0, 10) ?? "");
}
