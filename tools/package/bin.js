#!/usr/bin/env node
// @ts-check
// Runs a command of the npm package: its file in cli/ with the Deno that npm installed. Deno does not run
// TypeScript below node_modules, so the files are copied to a cache first.

import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PACKAGE = dirname(fileURLToPath(import.meta.url));
const FILES = join(PACKAGE, "files");

/** How often to look whether the process that started this one is gone, ms. */
const INTERVAL = 1000;

const root = prepareCopy();
const starter = process.ppid;
const child = spawn(denoProgram(), argumentsFor(root, process.argv.slice(2)), {
  stdio: "inherit",
  env: { ...process.env, DENO_NO_UPDATE_CHECK: "1", CLERK_SYNC_COMMAND: howCalled() },
});

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => child.kill(signal));
}
const watch = setInterval(() => {
  if (process.ppid === starter) return;
  clearInterval(watch);
  child.kill("SIGTERM");
}, INTERVAL);

child.on("error", (error) => fail(`Cannot start Deno as ${error.message}`));
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  // Ends as the command did.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});

/**
 * The folder with a whole copy of the package's files. It is made under another name and renamed, so
 * that several processes may do so at once; its name contains the hash of all files, so that another
 * build of the same version gets a copy of its own.
 */
function prepareCopy() {
  const files = /** @type {string[]} */ (readdirSync(FILES, { recursive: true })).sort()
    .filter((file) => statSync(join(FILES, file)).isFile());
  const { version } = readJson(join(PACKAGE, "package.json"));
  const digest = digestOf(FILES, files);
  const copy = join(cacheFolder(), "clerk-sync", `${version}-${digest?.slice(0, 16)}`);
  const isWhole = () => digestOf(copy, files) === digest;
  if (isWhole()) return copy;

  const draft = `${copy}.${randomUUID()}`;
  try {
    cpSync(FILES, draft, { recursive: true });
    putInPlace(draft, copy, isWhole);
  } catch (error) {
    removeQuietly(draft);
    fail(
      `Cannot copy clerk-sync to ${copy} as ${
        message(error)
      }: XDG_CACHE_HOME can name another folder`,
    );
  }
  return copy;
}

/**
 * Renames a draft to its target. A target that is there already is whole, if another process has just made
 * it, or damaged.
 *
 * @param {string} draft
 * @param {string} target
 * @param {() => boolean} isWhole whether the target is
 */
function putInPlace(draft, target, isWhole) {
  try {
    renameSync(draft, target);
  } catch {
    if (isWhole()) return removeQuietly(draft);
    rmSync(target, { recursive: true, force: true });
    renameSync(draft, target);
  }
}

/** @param {string} folder */
function removeQuietly(folder) {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // It is in a cache, where it harms nobody.
  }
}

/**
 * The hash of these files, undefined when one cannot be read.
 *
 * @param {string} folder
 * @param {string[]} files
 */
function digestOf(folder, files) {
  const hash = createHash("sha256");
  try {
    for (const file of files) {
      const bytes = readFileSync(join(folder, file));
      hash.update(`${file} ${bytes.length}\n`).update(bytes);
    }
    return hash.digest("hex");
  } catch {
    return undefined;
  }
}

/** Where this platform keeps caches. */
function cacheFolder() {
  const { XDG_CACHE_HOME = "", LOCALAPPDATA } = process.env;
  if (isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME;
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches");
  if (process.platform === "win32") return LOCALAPPDATA ?? join(homedir(), "AppData", "Local");
  return join(homedir(), ".cache");
}

/** The program in npm's package `deno`, which finds it as its own bin does. */
function denoProgram() {
  try {
    return createRequire(import.meta.url)("deno/install_api.cjs").runInstall();
  } catch (error) {
    return fail(`Cannot find Deno as ${message(error)}`);
  }
}

/**
 * Deno's arguments: those of the command's task, this package's own configuration, the user's flags. The
 * first word may also be none of the commands, which cli/main.ts answers.
 *
 * @param {string} root
 * @param {string[]} words
 */
function argumentsFor(root, words) {
  const config = join(root, "deno.json");
  const { tasks } = readJson(config);
  const [name = "", ...flags] = words;
  const isCommand = Object.hasOwn(tasks, name);
  const task = isCommand ? tasks[name].command : "deno run -A cli/main.ts";
  const [, ...given] = task.split(" ");
  const file = join(root, given.pop());
  // Quiet: Deno does not list what it downloads at the first start.
  return [
    ...given,
    "--quiet",
    `--config=${config}`,
    "--frozen",
    file,
    ...(isCommand ? flags : words),
  ];
}

/** What the user types before a command, to be shown in messages. */
function howCalled() {
  // npx keeps what -p named beside the packages that it installed for it.
  const npx = join(PACKAGE, "..", "..", "package.json");
  const packages = existsSync(npx) && readJson(npx)._npx?.packages;
  if (packages) {
    return `npx -y ${
      packages.map((/** @type {string} */ each) => `-p ${quoted(each)}`).join(" ")
    } clerk-sync`;
  }
  return process.env.npm_command === "exec" ? "npx --no clerk-sync" : "clerk-sync";
}

/** @param {string} text */
function quoted(text) {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** @param {string} file */
function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * @param {string} sentence
 * @returns {never}
 */
function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
