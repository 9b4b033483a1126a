// Figures of the status for people.

export function age(seconds: number | null): string {
  return seconds === null ? "never" : `${duration(seconds)} ago`;
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export function counts(byOutcome: Readonly<Record<string, number>>): string {
  const texts = Object.entries(byOutcome).map(([outcome, count]) => `${count} ${outcome}`);
  return texts.join(", ") || "nothing";
}
