/** Where hosted projects are, and how they are managed. */
export interface Platform {
  /** The URL of the Management API, without a slash at the end. */
  readonly apiUrl: string;
  /** The URL of a project's API and functions, without a slash at the end. */
  readonly projectUrl: (ref: string) => string;
  /** Flags with which the Supabase CLI finds the same place. */
  readonly cliFlags: readonly string[];
  /** The URL of the database for the Supabase CLI, which otherwise finds it by the project's reference. */
  readonly databaseUrl?: string;
  /** How long it may take until a change of a function is seen, ms. */
  readonly patience: number;
}

/** Supabase's own. */
export const SUPABASE: Platform = {
  apiUrl: "https://api.supabase.com",
  projectUrl: (ref) => `https://${ref}.supabase.co`,
  cliFlags: [],
  patience: 60_000,
};
