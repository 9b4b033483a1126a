/** A new random signing secret of a webhook, as Svix makes them. */
export function aSigningSecret(): string {
  return "whsec_" + crypto.getRandomValues(new Uint8Array(24)).toBase64();
}
