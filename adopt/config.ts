import { patch } from "@decimalturn/toml-patch";
import { isDeepStrictEqual } from "node:util";
import { StartError } from "../local/start_error.ts";
import { CONFIG_PATH, parseToml, sectionOf, type Toml } from "./project.ts";

/** The values of a section that a config.toml has, and that are not as they should be. */
export function differences(settings: Toml, name: string, section: string): string[] {
  const existing = sectionOf(settings, name);
  if (existing === undefined) return [];
  const wanted = sectionOf(parseToml(section), name) ?? {};
  return Object.keys(wanted).filter((key) => !isDeepStrictEqual(existing[key], wanted[key]));
}

/**
 * A config.toml with sections of ours: those that are missing are appended, and the values of the others
 * are changed in place. Comments, order and everything else stay.
 *
 * @param sections the text of each section by its name.
 * @throws {StartError} when the result would not say the same besides.
 */
export function withSections(config: string, sections: Readonly<Record<string, string>>): string {
  const lineEnd = config.includes("\r\n") ? "\r\n" : "\n";
  const before = parseToml(config);
  let text = config;
  for (const [name, section] of Object.entries(sections)) {
    if (sectionOf(before, name) === undefined) {
      text = `${text.trimEnd()}\n\n${section}`.replace(/\r?\n/g, lineEnd);
    } else if (differences(before, name, section).length > 0) {
      const settings = structuredClone(parseToml(text));
      Object.assign(sectionOf(settings, name) ?? {}, sectionOf(parseToml(section), name));
      text = patch(text, settings);
    }
  }

  if (isRight(before, text, sections)) return text;
  throw new StartError(
    `Cannot add clerk-sync's sections to ${CONFIG_PATH} without changing others: add them by hand, and run this again:\n\n${
      Object.values(sections).join("\n")
    }`,
  );
}

/** Whether a config.toml has the sections as they should be, and says nothing else than before. */
function isRight(
  before: Toml,
  text: string,
  sections: Readonly<Record<string, string>>,
): boolean {
  let after: Toml;
  try {
    after = parseToml(text);
  } catch {
    return false;
  }
  const names = Object.keys(sections);
  return isDeepStrictEqual(without(names, before), without(names, after)) &&
    Object.entries(sections).every(([name, section]) =>
      sectionOf(after, name) !== undefined && differences(after, name, section).length === 0
    );
}

/**
 * A config.toml without sections of ours. Comments, order and everything else stay.
 *
 * @throws {StartError} when the result would not say the same besides.
 */
export function withoutSections(config: string, names: readonly string[]): string {
  const lines = config.split("\n");
  for (const name of names) {
    const start = lines.findIndex((line) => line.trim() === `[${name}]`);
    if (start < 0) continue;
    const next = lines.findIndex((line, at) => at > start && /^\s*\[/.test(line));
    let end = next < 0 ? lines.length : next;
    // The comment above the next section is that one's.
    while (next >= 0 && /^\s*(#|$)/.test(lines[end - 1] ?? "")) end--;
    while (lines[end]?.trim() === "") end++;
    lines.splice(start, end - start);
  }
  const text = lines.join("\n");
  const tidy = `${text.trimEnd()}${config.includes("\r\n") ? "\r\n" : "\n"}`;

  const before = without(names, parseToml(config));
  if (
    names.some((name) => sectionOf(parseToml(tidy), name) !== undefined) ||
    !isDeepStrictEqual(before, without(names, parseToml(tidy)))
  ) {
    throw new StartError(
      `Cannot remove our sections from ${CONFIG_PATH} without changing others: remove ${
        names.map((name) => `[${name}]`).join(" and ")
      } by hand, and run this again`,
    );
  }
  return tidy;
}

/** What a config.toml says besides some sections. */
function without(names: readonly string[], settings: Toml): Toml {
  const rest = structuredClone(settings) as Record<string, unknown>;
  for (const name of names) {
    const keys = name.split(".");
    const last = keys.pop() ?? "";
    const parent = sectionOf(rest, keys.join(".")) as Record<string, unknown> | undefined;
    if (parent === undefined) continue;
    delete parent[last];
    if (Object.keys(parent).length === 0) delete rest[keys[0] ?? ""];
  }
  return rest;
}
