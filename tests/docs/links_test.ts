import { assertEquals, assertGreater } from "@std/assert";
import { type Page, readPages, ROOT } from "./pages.ts";

/** A link from a page to a file or a heading of this repository. */
interface Link {
  readonly from: string;
  /** From the root of the tree. */
  readonly path: string;
  /** Of a heading, empty for the whole file. */
  readonly anchor: string;
}

function linksIn({ path, text }: Page): Link[] {
  return [...text.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, target = ""]) => {
    const url = new URL(target, `file:///${path}`);
    return { from: path, path: url.pathname.slice(1), anchor: url.hash.slice(1) };
  });
}

/** The anchors that GitHub gives the headings of a page. */
async function anchorsOf(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${ROOT}${path}`);
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
}

async function isBroken({ path, anchor }: Link): Promise<boolean> {
  const exists = await Deno.stat(`${ROOT}${path}`).then(() => true, () => false);
  if (!exists) return true;
  return anchor !== "" && !(await anchorsOf(path)).includes(anchor);
}

Deno.test("every link of the documentation leads to a file or a heading that exists", async () => {
  const links = (await readPages()).flatMap(linksIn);

  const broken: string[] = [];
  for (const link of links) {
    if (await isBroken(link)) broken.push(`${link.from} → ${link.path}#${link.anchor}`);
  }

  assertEquals(broken, []);
  assertGreater(links.length, 50);
});

/** Files of the reader's project, and those of a release. */
const ELSEWHERE = /^(?:middleware\.ts|worker\.sql|clerk-sync-[\d.]+\.sql)$/;

/** Folders that no commit contains. */
const NOT_OURS = [".git", ".local", "dist", "node_modules"];

/** The paths of all files below a folder, each with a slash before it. */
async function filesBelow(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
    if (NOT_OURS.includes(name)) continue;
    if (isDirectory) found.push(...await filesBelow(`${folder}/${name}`));
    else found.push(`${folder}/${name}`);
  }
  return found;
}

Deno.test("every source file that the documentation names exists", async () => {
  const files = await filesBelow("");
  const named = (await readPages()).flatMap(({ path, text }) =>
    [...text.matchAll(/`([\w./-]+\.(?:ts|tsx|sql))`/g)].map(([, name = ""]) => ({ path, name }))
  );

  const missing = named.filter(({ name }) => !ELSEWHERE.test(name))
    .filter(({ name }) => !files.some((file) => file.endsWith(`/${name}`)))
    .map(({ path, name }) => `${path}: ${name}`);

  assertEquals(missing, []);
  assertGreater(named.length, 20);
});

/** Found without the index: it itself, the first page, and the page of the npm package. */
const WITHOUT_INDEX = ["README.md", "docs/README.md", "tools/package/README.md"];

Deno.test("the index of docs/ leads to every page, so that none is without a reader", async () => {
  const pages = [...await readPages(), { path: "docs/benchmarks.md", text: "" }];
  const indexed = pages.filter(({ path }) => path === "docs/README.md").flatMap(linksIn)
    .map(({ path }) => path);

  const unread = pages.map(({ path }) => path)
    .filter((path) => !WITHOUT_INDEX.includes(path) && !indexed.includes(path));

  assertEquals(unread, []);
});
