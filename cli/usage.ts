import { parseArgs, type ParseArgsConfig } from "node:util";
import { fileURLToPath } from "node:url";
import { isPrefix } from "../adopt/prefix.ts";
import { StartError } from "../local/start_error.ts";
import { UsageError } from "../operations/usage_error.ts";
import { nearest } from "./nearest.ts";

export { UsageError };

/**
 * Runs the command of this process, or prints its help, and exits with its code: 2 after a
 * {@link UsageError}, 1 after a {@link StartError}. Both are shown as a sentence, without a stack trace.
 */
export async function runCommand(
  command: (args: readonly string[]) => Promise<number>,
  help?: string,
): Promise<never> {
  if (help !== undefined && Deno.args.includes("--help")) {
    console.log(helpAsTyped(help));
    Deno.exit(0);
  }
  try {
    Deno.exit(await command(Deno.args));
  } catch (error) {
    if (error instanceof UsageError || error instanceof StartError) {
      console.error(asTyped(error.message));
      Deno.exit(error instanceof UsageError ? 2 : 1);
    }
    throw error;
  }
}

type FlagOptions = NonNullable<ParseArgsConfig["options"]>;
type Parsed<Options extends FlagOptions> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>;

/**
 * The values of a command's flags, and the words besides. `--env-file` is read as `--env`, and `--`
 * is skipped: older instructions have it, to keep Node from reading `--env-file` itself behind npx.
 *
 * @throws {UsageError} for an unknown flag, a missing value, or a word where none is expected.
 */
export function flags<const Options extends FlagOptions>(
  args: readonly string[],
  options: Options,
  { allowPositionals = false } = {},
): Parsed<Options> {
  const canonical = args
    .filter((arg) => arg !== "--")
    .map((arg) => arg.replace(/^--env-file(?==|$)/, "--env"));
  try {
    return parseArgs({ args: canonical, options, allowPositionals }) as Parsed<Options>;
  } catch (error) {
    const sentence = (error as Error).message.split(/\.\s/)[0] ?? "";
    const unknown = /^Unknown option '--([^']+)'/.exec(sentence)?.[1];
    const near = unknown === undefined ? undefined : nearest(unknown, Object.keys(options));
    throw new UsageError(
      near === undefined ? `${sentence}. See --help` : `${sentence}: did you mean --${near}?`,
    );
  }
}

/** A whole number of at least 1 from a flag. */
export function atLeastOne(flag: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new UsageError(`Cannot use --${flag} ${text}: it must be a whole number of at least 1`);
}

/** What the names of tables are to begin with, from --prefix. */
export function prefixOf(text: string): string {
  if (isPrefix(text)) return text;
  throw new UsageError(
    `Cannot use --prefix ${text}: it must be at most 20 lower-case letters, digits and underscores, and begin with a letter, as in clerk_`,
  );
}

/** A port from a flag; 0 is any free one. */
export function portFrom(flag: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new UsageError(`Cannot use --${flag} ${text}: ports are whole numbers up to 65535`);
}

/** A page of ours, as messages name it. */
const PAGE = /(?<![\w./])docs\/[a-z]+\.md/g;

/**
 * A text in which each `deno task` is what the user types instead: in a clone without Deno, behind npx,
 * or for the npm package, whose bin says how it was called. Of the package, pages have their whole path.
 */
export function asTyped(text: string): string {
  const command = Deno.env.get("CLERK_SYNC_COMMAND");
  if (command !== undefined) {
    return text.replaceAll("deno task", command)
      .replace(PAGE, (page) => fileURLToPath(new URL(`../${page}`, import.meta.url)));
  }
  const deno = Deno.env.get("npm_command") === "exec" ? `npx -y deno@${Deno.version.deno}` : "deno";
  return text.replaceAll("deno task", `${deno} task`);
}

/**
 * A help as typed. If that is long, the words beside a command go below it, and a command in a sentence is
 * its name.
 */
function helpAsTyped(help: string): string {
  if (asTyped("deno task") === "deno task") return help;
  const below = "\n      ";
  return asTyped(
    help
      .replace(
        /^( {2}deno task .*?) {2,}(\S.*(?:\n {12,}\S.*)*)/gm,
        (_, command, words) => command + below + words.replace(/\n +/g, below),
      )
      .replace(/`deno task (?=\w)/g, "`"),
  );
}

/** A command line for the user to type. */
export function taskCommand(words: string, envFile: string | undefined): string {
  return asTyped(`deno task ${words}`) + (envFile === undefined ? "" : ` --env ${envFile}`);
}

/** A signal that arrives again within this time is the same Ctrl-C, which npm passes on, ms. */
const SAME_SIGNAL = 300;

/** Resolves at the first signal to stop. A second one ends the process at once, or is ignored. */
export function firstSignal(second: "ends" | "ignored"): Promise<void> {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  return new Promise((resolve) => {
    const onSignal = (): void => {
      resolve();
      if (second === "ignored") return;
      setTimeout(() => {
        for (const signal of signals) Deno.removeSignalListener(signal, onSignal);
      }, SAME_SIGNAL);
    };
    for (const signal of signals) Deno.addSignalListener(signal, onSignal);
  });
}
