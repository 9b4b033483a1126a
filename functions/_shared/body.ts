export type Body =
  | { readonly kind: "text"; readonly text: string }
  /** Not UTF-8, so it cannot be what a sender signed: senders sign texts. */
  | { readonly kind: "not_text" }
  | { readonly kind: "too_large" }
  /** The sender broke off, or took too long. */
  | { readonly kind: "incomplete" };

export interface BodyLimits {
  readonly bytes: number;
  readonly milliseconds: number;
}

/** Reads a request's body as text, byte for byte; counts while it reads and stops at the limits. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Body> {
  if (request.body === null) return { kind: "text", text: "" };

  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), limits.milliseconds);
  });

  try {
    while (true) {
      const part = await Promise.race([reader.read(), late]);

      if (part === "late") return abandon(reader, "incomplete");
      if (part.done) return decode(chunks, bytes);

      bytes += part.value.byteLength;
      if (bytes > limits.bytes) return abandon(reader, "too_large");
      chunks.push(part.value);
    }
  } catch {
    return { kind: "incomplete" };
  } finally {
    clearTimeout(timer);
  }
}

function abandon(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  kind: "incomplete" | "too_large",
): Body {
  // Nobody waits for the rest, and a sender that has gone is no news.
  reader.cancel().catch(() => {});
  return { kind };
}

function decode(chunks: readonly Uint8Array[], bytes: number): Body {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }

  try {
    // ignoreBOM keeps a byte order mark: the signature covers it too.
    return {
      kind: "text",
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole),
    };
  } catch {
    return { kind: "not_text" };
  }
}
