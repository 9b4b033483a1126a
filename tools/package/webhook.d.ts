/** What {@linkcode createWebhook} needs. An undefined value is refused when the webhook is created. */
export interface WebhookOptions {
  /** The URL of your Supabase project: `https://<ref>.supabase.co`. */
  readonly supabaseUrl: string | undefined;
  /** The project's secret key named `clerk_ingest`, whose role can do nothing but ingest. */
  readonly key: string | undefined;
  /** The signing secret of the endpoint in Clerk (`whsec_…`), or several, separated by commas. */
  readonly signingSecret: string | undefined;
  /** Receives one entry for each delivery: words, ids and codes. By default it is written as a line of JSON. */
  readonly log?: ((entry: Readonly<Record<string, unknown>>) => void) | undefined;
}

/**
 * Makes the handler that verifies and stores the webhooks of Clerk. It answers every request, never
 * rejects, and needs the body unread.
 *
 * @throws {Error} a `ConfigurationError` when an option is missing or malformed
 */
export function createWebhook(options: WebhookOptions): (request: Request) => Promise<Response>;
