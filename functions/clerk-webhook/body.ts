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

/** Reads a request's body as text, byte for byte, and stops at the limits. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Body> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), limits.milliseconds);
  });

  try {
    return await readCounting(request, limits.bytes, late);
  } catch {
    return { kind: "incomplete" };
  } finally {
    clearTimeout(timer);
  }
}

/** NOTE: the declared Content-Length is not trusted: the bytes are counted. */
async function readCounting(
  request: Request,
  mostBytes: number,
  late: Promise<"late">,
): Promise<Body> {
  if (request.body === null) return { kind: "text", text: "" };

  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;

  while (true) {
    const part = await Promise.race([reader.read(), late]);

    if (part === "late") return abandon(reader, "incomplete");
    if (part.done) return decode(joined(chunks, bytes));

    bytes += part.value.byteLength;
    if (bytes > mostBytes) return abandon(reader, "too_large");
    chunks.push(part.value);
  }
}

function abandon(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  kind: "incomplete" | "too_large",
): Body {
  // The rest is not awaited, and whether the sender is still there does not matter.
  reader.cancel().catch(() => {});
  return { kind };
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function decode(bytes: Uint8Array): Body {
  try {
    // ignoreBOM keeps a byte order mark: the signature covers it too.
    return {
      kind: "text",
      text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    };
  } catch {
    return { kind: "not_text" };
  }
}
