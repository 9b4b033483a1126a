/**
 * The command that runs another one on a terminal of its own, and copies to standard output what it shows
 * there. `script` is a part of Linux and of macOS.
 */
export function onTerminal(command: string, args: readonly string[]): [string, string[]] {
  if (Deno.build.os === "darwin") return ["script", ["-q", "/dev/null", command, ...args]];
  const line = [command, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return ["script", ["--quiet", "--return", "--command", line, "/dev/null"]];
}
