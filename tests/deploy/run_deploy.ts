// Runs `deploy` against a stand-in of Supabase, which the variable STAND_IN describes. DEPLOY_ROOT names
// the folder that contains cli/, if it is not this checkout.

const { apiUrl, projectUrl, profile, databaseUrl } = JSON.parse(Deno.env.get("STAND_IN") ?? "");
const root = Deno.env.get("DEPLOY_ROOT");
const cli = root === undefined ? new URL("../../cli/", import.meta.url) : `file://${root}/cli/`;
const { deploy } = await import(new URL("deploy.ts", cli).href);
const { runCommand } = await import(new URL("usage.ts", cli).href);

await runCommand((args: readonly string[]) =>
  deploy(args, {
    apiUrl,
    projectUrl: () => projectUrl,
    cliFlags: ["--profile", profile],
    databaseUrl,
    patience: 1_500,
  })
);
