import { planInit } from "../../adopt/init.ts";
import { carryOut } from "../../adopt/plan.ts";

// Installs clerk-sync in a folder, and is killed before the step of a number, counted from 0.

const [dir = "", number = "", now = ""] = Deno.args;
const { steps } = await planInit(dir, undefined, new Date(now));
let count = 0;
await carryOut(dir, steps, () => {
  if (count++ === Number(number)) Deno.kill(Deno.pid, "SIGKILL");
});
