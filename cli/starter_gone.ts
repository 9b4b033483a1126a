import { setTimeout } from "node:timers/promises";

/** How often to look, ms. */
const INTERVAL = 1000;

/** How npm calls itself in the list of processes, or how Node shows up before npm has renamed it. */
const NPM = /^(npm |(\S*\/)?node )/;

/**
 * Resolves once the process that started this one is gone; behind `npx`, once npx is. npm runs
 * a program in a shell of its own, which survives when npm is killed, so the parent alone does not
 * tell. Never resolves on Windows, where a child does not learn that its parent has ended.
 */
export async function starterGone(): Promise<void> {
  if (Deno.build.os === "windows") return await new Promise(() => {});
  const parent = Deno.ppid;
  const link = Deno.env.get("npm_command") === "exec" ? await linkToNpm(parent) : undefined;
  // A process gets another parent the moment its own ends, even one that nobody has reaped.
  while (
    Deno.ppid === parent &&
    (link === undefined || (await ancestorOf(link.child))?.pid === link.npm)
  ) await setTimeout(INTERVAL);
}

/** The npm process among the ancestors, and the child of it that we descend from. */
async function linkToNpm(parent: number): Promise<{ npm: number; child: number } | undefined> {
  for (let child = parent;;) {
    const ancestor = await ancestorOf(child);
    if (ancestor === undefined || ancestor.pid <= 1) return undefined;
    if (NPM.test(ancestor.command)) return { npm: ancestor.pid, child };
    child = ancestor.pid;
  }
}

/** The parent of a process and its command line, unless the process is gone. */
async function ancestorOf(pid: number): Promise<{ pid: number; command: string } | undefined> {
  const parent = Number(await readProcess(pid, "ppid"));
  if (!(parent > 0)) return undefined;
  return { pid: parent, command: await readProcess(parent, "args") };
}

/** One field of a process, empty when it is gone. Slim containers have no `ps`, macOS no `/proc`. */
async function readProcess(pid: number, field: "ppid" | "args"): Promise<string> {
  if (Deno.build.os === "linux") {
    const file = field === "ppid" ? "status" : "cmdline";
    const text = await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
    return field === "ppid" ? /^PPid:\s*(\d+)/m.exec(text)?.[1] ?? "" : text.replaceAll("\0", " ");
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-o", `${field}=`, "-p", String(pid)] })
    .output();
  return new TextDecoder().decode(stdout).trim();
}
