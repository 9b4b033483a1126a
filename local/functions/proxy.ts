/** Passes a request on to a function, with its body as a stream, as Supabase's gateway does. */
export async function forward(
  request: Request,
  functionUrl: string | undefined,
): Promise<Response> {
  if (functionUrl === undefined) {
    return Response.json({
      code: "BOOT_ERROR",
      message: "Function failed to start (please check logs)",
    }, { status: 503 });
  }
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ["host", "connection", "accept-encoding"]) headers.delete(name);
  try {
    return await fetch(`${functionUrl}${pathname.replace("/functions/v1", "")}${search}`, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
  } catch {
    return Response.json({
      code: "WORKER_ERROR",
      message: "Function exited or broke the connection (please check logs)",
    }, { status: 502 });
  }
}
