// In your own project, replace this file with the types of your database:
// npx -y supabase@3.1.0 gen types --remote > src/database.types.ts
export type { Database } from "../../../supabase/database.types.ts";
