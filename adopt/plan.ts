import { dirname } from "node:path";
import { reasonOf, StartError } from "../local/start_error.ts";

/** One atomic change of one file of a project. */
export interface Step {
  /** The file's path in the project. */
  readonly path: string;
  /** The file's new text; null removes the file. */
  readonly text: string | null;
  /** What the step does, such as `writes supabase/clerk-sync.json`. */
  readonly words: string;
}

/** A step that writes a file. */
export function writes(path: string, text: string, words = `writes ${path}`): Step {
  return { path, text, words };
}

/** A step that removes a file, and each folder that it leaves empty. */
export function removes(path: string, words = `removes ${path}`): Step {
  return { path, text: null, words };
}

/**
 * Checks that no step leads through a symbolic link below the project's folder: git does not follow those to
 * folders, and a new file would take the place of one to a file.
 *
 * @throws {StartError} when one does.
 */
async function refuseLinks(dir: string, steps: readonly Step[]): Promise<void> {
  const paths = steps.flatMap(({ path }) => {
    const names = path.split("/");
    return names.map((_, at) => names.slice(0, at + 1).join("/"));
  });
  for (const path of new Set(paths)) {
    const found = await Deno.lstat(`${dir}/${path}`).catch(() => undefined);
    if (!found?.isSymlink) continue;
    throw new StartError(
      `Cannot change ${path} as it is a symbolic link: put what it points to in its place, or name the folder that really contains supabase/ with --dir. Nothing was changed.`,
    );
  }
}

/**
 * Does the steps of a plan in order. A file has its old text or its new one at any moment, so that after a
 * kill the same command can look again and go on: each step can be done twice.
 *
 * @param onStep receives each step before it is done.
 * @throws {StartError} when a file cannot be changed: the steps before it are done. When there is a symbolic
 * link in the way: nothing is.
 */
export async function carryOut(
  dir: string,
  steps: readonly Step[],
  onStep: (step: Step) => void = () => {},
): Promise<void> {
  await refuseLinks(dir, steps);
  for (const step of steps) {
    onStep(step);
    try {
      if (step.text === null) await remove(dir, step.path);
      else await write(dir, step.path, step.text);
    } catch (error) {
      throw new StartError(
        `Cannot change ${dir}/${step.path} as the system reports "${
          reasonOf(error)
        }": correct that, and run the same command again`,
      );
    }
  }
  await removeIfThere(`${dir}/${UNFINISHED}`);
}

/** The file that is being written, until it has its name. The next write replaces what a kill left. */
export const UNFINISHED = "supabase/.clerk-sync-unfinished";

async function write(dir: string, path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(`${dir}/${path}`), { recursive: true });
  await Deno.writeTextFile(`${dir}/${UNFINISHED}`, text);
  await Deno.rename(`${dir}/${UNFINISHED}`, `${dir}/${path}`);
}

async function removeIfThere(file: string): Promise<void> {
  await Deno.remove(file).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function remove(dir: string, path: string): Promise<void> {
  await removeIfThere(`${dir}/${path}`);
  // supabase/functions and supabase/migrations stay, also when they are empty.
  for (let folder = dirname(path); folder.split("/").length > 2; folder = dirname(folder)) {
    try {
      await Deno.remove(`${dir}/${folder}`);
    } catch {
      return;
    }
  }
}
