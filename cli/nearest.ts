/** The name that was probably meant; undefined if none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  return names.find((name) => isNear(word, name, 1)) ??
    names.find((name) =>
      isNear(word, name, 2) && (name.length > 4 || lettersOf(name) === lettersOf(word))
    );
}

/** Whether one word becomes the other when at most this many letters are changed, added or removed. */
function isNear(one: string, other: string, typos: number): boolean {
  if (typos < 0) return false;
  if (one === "" || other === "") return one.length + other.length <= typos;
  const [rest, otherRest] = [one.slice(1), other.slice(1)];
  if (one[0] === other[0]) return isNear(rest, otherRest, typos);
  return isNear(rest, otherRest, typos - 1) || isNear(rest, other, typos - 1) ||
    isNear(one, otherRest, typos - 1);
}

function lettersOf(word: string): string {
  return [...word].sort().join("");
}
