import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";
import { localClerk } from "./local/plugin.ts";

const VARIABLES = [
  "VITE_CLERK_PUBLISHABLE_KEY",
  "VITE_SUPABASE_URL",
  "VITE_SUPABASE_PUBLISHABLE_KEY",
];

export default defineConfig(({ mode, isPreview }) => {
  if (mode === "stack") return { plugins: [react(), localClerk()] };

  const env = loadEnv(mode, import.meta.dirname);
  const missing = VARIABLES.filter((name) => !env[name]);
  if (missing.length > 0 && !isPreview) {
    throw new Error(
      `Cannot start without ${missing.join(", ")}: copy .env.example to .env.local and fill it in`,
    );
  }
  return { plugins: [react()] };
});
