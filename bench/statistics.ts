/** The middle sample; for an even number of samples, the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/**
 * The value below which this share of the samples lies, interpolated between neighbours.
 *
 * @param share 0 to 1: 0.95 for p95
 * @throws {RangeError} when there are no samples
 */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((one, other) => one - other);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) {
    throw new RangeError("Cannot compute a quantile of no samples");
  }
  return below + (above - below) * (at - Math.floor(at));
}
