import { assertEquals, assertRejects } from "@std/assert";
import {
  type Environment,
  readEnvironment,
  readTokenKey,
  removeEnvFile,
  writeEnvFile,
} from "../../local/env_file.ts";
import { StartError } from "../../local/start_error.ts";

const STACK: Environment = {
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_a",
  SUPABASE_SECRET_KEY: "sb_secret_a",
  CLERK_WEBHOOK_URL: "http://127.0.0.1:1/functions/v1/clerk-webhook",
  CLERK_WEBHOOK_SIGNING_SECRET: "whsec_YWI9Yw==",
  DATABASE_URL: "postgresql://postgres:secret@127.0.0.1:2/postgres",
};

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("what is written is read again, and removed with its key", () =>
  withFolder(async (folder) => {
    const file = `${folder}/deep/env`;

    await writeEnvFile(file, STACK, "a key");

    assertEquals(await readEnvironment({ envFile: file }), STACK);
    assertEquals(await readTokenKey(file), "a key");
    await removeEnvFile(file, STACK);
    assertEquals(await Array.fromAsync(Deno.readDir(`${folder}/deep`)), []);
  }));

Deno.test("removeEnvFile() leaves what another stack wrote", () =>
  withFolder(async (folder) => {
    const other = { ...STACK, SUPABASE_URL: "http://127.0.0.1:9" };
    await writeEnvFile(`${folder}/env`, other, "a key");

    await removeEnvFile(`${folder}/env`, STACK);

    assertEquals(await readEnvironment({ envFile: `${folder}/env` }), other);
  }));

Deno.test("the real environment wins over the file", () =>
  withFolder(async (folder) => {
    await writeEnvFile(`${folder}/env`, STACK, "a key");
    Deno.env.set("CLERK_WEBHOOK_URL", "https://real.example");
    try {
      const environment = await readEnvironment({ envFile: `${folder}/env` });

      assertEquals(environment, { ...STACK, CLERK_WEBHOOK_URL: "https://real.example" });
    } finally {
      Deno.env.delete("CLERK_WEBHOOK_URL");
    }
  }));

Deno.test("without a file, or with half of one, a sentence says what to do", () =>
  withFolder(async (folder) => {
    const envFile = `${folder}/env`;

    const none = await assertRejects(() => readEnvironment({ envFile }), StartError);
    await Deno.writeTextFile(envFile, "SUPABASE_URL=http://127.0.0.1:1\n# nothing else\n");
    const half = await assertRejects(() => readEnvironment({ envFile }), StartError);

    assertEquals(
      none.message,
      `Cannot read ${envFile} as it does not exist: check --env; what \`deno task dev\` wrote is removed when that stops`,
    );
    assertEquals(
      half.message,
      `Cannot use ${envFile} as it lacks SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY, CLERK_WEBHOOK_URL, CLERK_WEBHOOK_SIGNING_SECRET, DATABASE_URL: add what is missing, or name the file that \`deno task dev\` wrote`,
    );
  }));

Deno.test("an env file that a person wrote may have quotes, exports and comments", () =>
  withFolder(async (folder) => {
    const envFile = `${folder}/env`;
    await Deno.writeTextFile(
      envFile,
      `# mine\nexport SUPABASE_URL="http://127.0.0.1:1"\r\nSUPABASE_SECRET_KEY='a key' # secret\n`,
    );

    const environment = await readEnvironment({
      envFile,
      names: ["SUPABASE_URL", "SUPABASE_SECRET_KEY"],
    });

    assertEquals(environment, { SUPABASE_URL: "http://127.0.0.1:1", SUPABASE_SECRET_KEY: "a key" });
  }));
