/** A signing secret made up on the spot. */
export function aSigningSecret(): string {
  return "whsec_" + crypto.getRandomValues(new Uint8Array(24)).toBase64();
}
