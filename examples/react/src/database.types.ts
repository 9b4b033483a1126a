// In a project of your own, replace this file with the types of your database: see README.md.
export type { Database } from "../../../supabase/database.types.ts";
