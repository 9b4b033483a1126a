// What any function costs: the runtime and one answer.

export default {
  fetch: (): Response => Response.json({ outcome: "applied" }),
};
