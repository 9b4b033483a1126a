import type { TestReport } from "../junit.ts";

/** The result of a mutation. */
export type Verdict =
  | { readonly kind: "caught"; readonly red: readonly string[] }
  | { readonly kind: "survived" }
  /** It shows nothing: the mutation or the tests are wrong. */
  | { readonly kind: "invalid"; readonly why: string };

/**
 * Signs of code that is merely broken: it does not load, or it names something that does not exist.
 * 42501 (missing privilege) is not among them.
 */
const BROKEN_CODE =
  /\b(?:SyntaxError|ReferenceError|StartError)\b|is not (?:defined|a function)|\b42(?:601|702|703|704|725|804|846|883|P01|P02|P10|P18)\b/;

/**
 * Judges a run with a mutation by the run without it.
 *
 * @param mutated undefined when the run gave no report: nothing was loaded, or the run never ended
 */
export function judge(green: TestReport, mutated: TestReport | undefined): Verdict {
  if (mutated === undefined) return { kind: "invalid", why: "the tests did not run to an end" };

  const known = new Set(green.passed);
  const red = mutated.failed.filter(({ name }) => known.has(name));
  if (red.length === 0) return { kind: "survived" };

  const honest = red.filter(({ text }) => !BROKEN_CODE.test(text));
  if (honest.length > 0) return { kind: "caught", red: honest.map(({ name }) => name) };
  const sign = BROKEN_CODE.exec(red[0]?.text ?? "")?.[0];
  return { kind: "invalid", why: `red only because the code is broken (${sign})` };
}
