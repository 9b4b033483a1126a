export type Body =
  | { readonly kind: "text"; readonly text: string }
  /** Not UTF-8, so the sender cannot have signed it: senders sign text. */
  | { readonly kind: "not_text" }
  | { readonly kind: "too_large" }
  /** The connection broke, or the sender took too long. */
  | { readonly kind: "incomplete" };

export interface BodyLimits {
  readonly bytes: number;
  readonly milliseconds: number;
}

/**
 * Reads a request's body as text, byte for byte, and stops at the limits.
 *
 * NOTE: the declared Content-Length is not trusted: the bytes are counted.
 */
export async function readBody({ body }: Request, limits: BodyLimits): Promise<Body> {
  if (body === null) return { kind: "text", text: "" };

  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let isLate = false;
  // Ends a read that is waiting. What becomes of the sender does not matter.
  const stop = (): void => void reader.cancel().catch(() => {});
  const timer = setTimeout(() => {
    isLate = true;
    stop();
  }, limits.milliseconds);

  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (isLate) return { kind: "incomplete" };
      if (done) return decode(chunks);

      bytes += value.byteLength;
      if (bytes > limits.bytes) {
        stop();
        return { kind: "too_large" };
      }
      chunks.push(value);
    }
  } catch {
    return { kind: "incomplete" };
  } finally {
    clearTimeout(timer);
  }
}

function decode(chunks: readonly Uint8Array[]): Body {
  // ignoreBOM keeps a byte order mark: the signature covers it, too.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    const parts = chunks.map((chunk) => decoder.decode(chunk, { stream: true }));
    return { kind: "text", text: parts.join("") + decoder.decode() };
  } catch {
    return { kind: "not_text" };
  }
}
