import { writeEnvFile } from "../../local/env_file.ts";
import type { TestStack } from "../test_stack.ts";

/** Runs something while an env file names the stack. */
export async function withEnvFile<Result>(
  { services }: TestStack,
  use: (file: string) => Promise<Result>,
): Promise<Result> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/env`;
  try {
    await writeEnvFile(file, {
      SUPABASE_URL: services.apiUrl,
      SUPABASE_PUBLISHABLE_KEY: services.keys.publishable,
      SUPABASE_SECRET_KEY: services.keys.secret,
      CLERK_WEBHOOK_URL: services.webhookUrl,
      CLERK_WEBHOOK_SIGNING_SECRET: services.signingSecret,
      DATABASE_URL: services.databaseUrl,
    }, services.keys.tokenKey);
    return await use(file);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
