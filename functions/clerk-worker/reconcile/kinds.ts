import type { z } from "zod";
import {
  ClerkInvitation,
  ClerkMembership,
  ClerkOrganization,
  ClerkPermission,
  ClerkRole,
  ClerkUser,
} from "../../_shared/clerk_sync/clerk.ts";

/** How one kind of object is read from Clerk's Backend API. */
interface KindOfObject {
  /** The same schema as for the webhook's events. */
  readonly schema: z.ZodType;
  /** The list, with its query except limit and offset. Oldest first, so that new objects come last. */
  readonly list: string;
}

/** In the order in which they are read: parents before their children. */
export const KINDS = {
  user: { schema: ClerkUser, list: "/users?order_by=%2Bcreated_at" },
  organization: {
    schema: ClerkOrganization,
    list: "/organizations?include_members_count=true&order_by=%2Bcreated_at",
  },
  permission: {
    schema: ClerkPermission,
    list: "/organization_permissions?order_by=%2Bcreated_at",
  },
  role: { schema: ClerkRole, list: "/organization_roles?order_by=%2Bcreated_at" },
  membership: {
    schema: ClerkMembership,
    list: "/organization_memberships?order_by=%2Bcreated_at",
  },
  invitation: {
    schema: ClerkInvitation,
    list: "/organization_invitations?order_by=%2Bcreated_at",
  },
} as const satisfies Readonly<Record<string, KindOfObject>>;

export type Kind = keyof typeof KINDS;

/** The kinds of which surplus objects are found and deleted. */
export const DELETED_KINDS = ["user", "organization", "membership"] as const satisfies Kind[];
