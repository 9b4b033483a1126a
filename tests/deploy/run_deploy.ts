// Runs `deploy` against a stand-in of Supabase, which the variable STAND_IN describes. DEPLOY_FILE names
// the command's file, if it is not the one of this checkout.

const { apiUrl, projectUrl, profile, databaseUrl } = JSON.parse(Deno.env.get("STAND_IN") ?? "");
const file = Deno.env.get("DEPLOY_FILE") ?? new URL("../../cli/deploy.ts", import.meta.url).href;
const { deploy } = await import(file);
const { runCommand } = await import(new URL("./usage.ts", file).href);

await runCommand((args: readonly string[]) =>
  deploy(args, {
    apiUrl,
    projectUrl: () => projectUrl,
    cliFlags: ["--profile", profile],
    databaseUrl,
    patience: 1_500,
  })
);
