/** Writes a line of a stream, when the reader has taken those before it. Rejects once nobody reads any more. */
export type Write = (line: unknown) => Promise<void>;

/**
 * Answers with a stream of JSON lines, which grows only as fast as it is read.
 *
 * @param produce writes the lines, until it is told to stop: nobody reads any more, or the server stops
 * @param failure the last line, after an error of `produce`
 */
export function lines(
  produce: (write: Write, stop: AbortSignal) => Promise<void>,
  { stop, failure }: { readonly stop: AbortSignal; readonly failure: (error: unknown) => unknown },
): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const gone = new AbortController();
  writer.closed.catch(() => gone.abort());
  const ended = AbortSignal.any([stop, gone.signal]);
  const encoder = new TextEncoder();

  const write: Write = (line) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
  produce(write, ended)
    .catch((error) => ended.aborted ? undefined : write(failure(error)))
    .then(() => writer.close())
    .catch(() => {});
  return new Response(readable, { headers: { "content-type": "application/x-ndjson" } });
}
