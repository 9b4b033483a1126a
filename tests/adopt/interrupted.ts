import { planUninstall } from "../../adopt/uninstall.ts";
import { planUpgrade } from "../../adopt/upgrade.ts";
import { carryOut } from "../../adopt/plan.ts";
import { aLaterRelease } from "./release.ts";

// Upgrades or uninstalls in a folder, and is killed before the step of a number, counted from 0.

const [command = "", dir = "", number = "", now = ""] = Deno.args;
const { steps } = command === "upgrade"
  ? await planUpgrade(dir, aLaterRelease, new Date(now))
  : await planUninstall(dir, { dropTables: false }, new Date(now));
let count = 0;
await carryOut(dir, steps, () => {
  if (count++ === Number(number)) Deno.kill(Deno.pid, "SIGKILL");
});
