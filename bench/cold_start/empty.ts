// The minimum for any function: the runtime and one answer.

export default {
  fetch: (): Response => Response.json({ outcome: "applied" }),
};
