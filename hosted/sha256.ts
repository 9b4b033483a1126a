/** The SHA-256 of a text as it is, in hexadecimal digits, as the Management API tells it of secrets. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
