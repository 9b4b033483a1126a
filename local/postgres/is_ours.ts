/** Our tables. All are in schema public. */
export const TABLES = [
  "profiles",
  "organizations",
  "organization_memberships",
  "organization_roles",
  "organization_invitations",
  "subscription_items",
] as const;

/** Whether a migration is ours, by its file's name: they have the date of their release. */
export function isOurs(file: string): boolean {
  return /^20261101\d{6}_.*\.sql$/.test(file);
}

/** Whether a version that a database has is that of a migration of ours, as the repository has it. */
export function isVersionOfOurs(version: string): boolean {
  return isOurs(`${version}_.sql`);
}
