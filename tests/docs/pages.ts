import { fileURLToPath } from "node:url";

/** The root of the tree, with a slash at the end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Page {
  /** From the root of the tree. */
  readonly path: string;
  readonly text: string;
}

/** The pages of the root, the READMEs of examples and of the package, and everything below docs/, except what `deno task bench` generates. */
export async function readPages(): Promise<Page[]> {
  const paths = [
    ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
    ...["examples/react/README.md", "tools/package/README.md"],
  ];
  for (const folder of ["docs", "docs/decisions"]) {
    for await (const { name } of Deno.readDir(`${ROOT}${folder}`)) {
      if (name.endsWith(".md") && name !== "benchmarks.md") paths.push(`${folder}/${name}`);
    }
  }
  return await Promise.all(
    paths.sort().map(async (path) => ({ path, text: await Deno.readTextFile(`${ROOT}${path}`) })),
  );
}
