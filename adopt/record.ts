import { z } from "zod";
import { StartError } from "../local/start_error.ts";
import { readIfThere } from "./read.ts";

/** Where the record is, in the user's project. It belongs to their repository. */
export const RECORD_PATH = "supabase/clerk-sync.json";

/** What clerk-sync wrote into a project: the versions, and the hash of each file. */
export type InstallRecord = z.infer<typeof InstallRecord>;
export const InstallRecord = z.object({
  /** The version that wrote last. */
  version: z.string(),
  /** What the names of our tables begin with; empty without a prefix. */
  prefix: z.string(),
  /** Our migrations, oldest first. */
  migrations: z.array(z.object({
    /** Its name in `supabase/migrations`. */
    file: z.string(),
    /** The names of our migrations that it holds, in order. */
    slices: z.array(z.string()),
    sha256: z.string(),
  })),
  /** The hash of each other file, by its path in the project. */
  files: z.record(z.string(), z.string()),
  /** Our sections of config.toml. */
  config: z.array(z.string()),
});

/**
 * The record in a project; undefined if there is none.
 *
 * @throws {StartError} when it cannot be read or understood.
 */
export async function readRecord(dir: string): Promise<InstallRecord | undefined> {
  const text = await readIfThere(`${dir}/${RECORD_PATH}`);
  if (text === undefined) return undefined;
  try {
    return InstallRecord.parse(JSON.parse(text));
  } catch {
    throw new StartError(
      `Cannot use ${RECORD_PATH} as it is not what clerk-sync wrote: bring the committed file back with git`,
    );
  }
}

/** The text of a record. Equal records have equal texts. */
export function recordText(record: InstallRecord): string {
  const files = Object.fromEntries(Object.entries(record.files).sort(([a], [b]) => a < b ? -1 : 1));
  return `${JSON.stringify({ ...record, files }, null, 2)}\n`;
}

/**
 * Checks that this version knows everything that the one in the record wrote.
 *
 * @param verb what the user asked for.
 * @throws {StartError} when the one in the record is newer.
 */
export function refuseNewer({ version }: InstallRecord, ours: string, verb: string): void {
  if (version.localeCompare(ours, "en", { numeric: true }) <= 0) return;
  throw new StartError(
    `Cannot ${verb} as clerk-sync ${version} is installed here, and this is ${ours}: use ${version} or newer`,
  );
}

/** The SHA-256 of a text, in hex. Line ends do not count, because git may change them on checkout. */
export async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text.replaceAll("\r\n", "\n"));
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
