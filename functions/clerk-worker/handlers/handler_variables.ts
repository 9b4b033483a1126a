/**
 * What handlers are configured by. `deno task dev` hands these on to the worker, which may read
 * nothing else of the environment. Deployed, a function reads every secret of the project.
 */
export const HANDLER_VARIABLES = [
  "CLERK_WORKER_MAX_READS",
  "FORWARD_URLS",
  "FORWARD_SIGNING_SECRET",
  "RESEND_API_KEY",
  "RESEND_URL",
  "SMTP_URL",
  "WELCOME_FROM",
  "WELCOME_APP",
];
