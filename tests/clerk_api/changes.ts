import {
  aClerkInvitation,
  aClerkMembership,
  aClerkOrganization,
  aClerkUser,
  aDeletedClerkOrganization,
  aDeletedClerkUser,
  anEvent,
  anId,
  type JsonObject,
} from "../../local/clerk/events.ts";
import { oneOf, type Pick } from "../random.ts";
import type { ClerkInstance, ClerkObject } from "./clerk_api.ts";

/** A message as Clerk sends it, once or several times. */
export interface Message {
  readonly id: string;
  readonly event: JsonObject;
}

type Change = (instance: ClerkInstance, pick: Pick, now: number) => JsonObject | undefined;

let lastChange = 0;

/** Makes a change in an instance, as its users and admins do, and returns what Clerk sends about it. */
export function change(instance: ClerkInstance, pick: Pick): Message {
  for (;;) {
    // No two changes at the same time, so that each has a version of its own.
    lastChange = Math.max(Date.now(), lastChange + 1);
    const event = oneOf(pick, CHANGES)(instance, pick, lastChange);
    // Objects go on changing after the message.
    if (event !== undefined) return { id: anId("msg"), event: structuredClone(event) };
  }
}

const signUp: Change = ({ user }, pick, now) => {
  const added = aClerkUser(madeAt(now), pick(100)) as ClerkObject;
  user.push(added);
  return anEvent("user.created", added);
};

/** Gives a user another name. */
export const rename: Change = ({ user }, pick, now) => {
  const renamed = any(user, pick);
  return renamed && anEvent("user.updated", edit(renamed, { first_name: `Name ${now}` }, now));
};

const deleteAnyUser: Change = (instance, pick) => {
  const deleted = any(instance.user, pick);
  return deleted && deleteUser(instance, deleted);
};

/** Memberships go with their user, without events of their own. */
export function deleteUser(instance: ClerkInstance, { id }: ClerkObject): JsonObject {
  remove(instance.user, (each) => each.id === id);
  remove(instance.membership, (each) => userOf(each) === id);
  return anEvent("user.deleted", aDeletedClerkUser(id));
}

const found: Change = ({ organization }, _, now) => {
  const added = aClerkOrganization({ ...madeAt(now), name: `Team ${now}` }) as ClerkObject;
  organization.push(added);
  return anEvent("organization.created", added);
};

const renameOrganization: Change = ({ organization }, pick, now) => {
  const renamed = any(organization, pick);
  return renamed && anEvent("organization.updated", edit(renamed, { name: `Team ${now}` }, now));
};

/** Memberships and invitations go with their organization, without events of their own. */
const deleteOrganization: Change = (instance, pick) => {
  const deleted = any(instance.organization, pick);
  if (deleted === undefined) return;
  remove(instance.organization, ({ id }) => id === deleted.id);
  remove(instance.membership, (each) => organizationOf(each) === deleted.id);
  remove(instance.invitation, (each) => each.organization_id === deleted.id);
  return anEvent("organization.deleted", aDeletedClerkOrganization(deleted.id));
};

const join: Change = ({ user, organization, membership }, pick, now) => {
  const [person, team] = [any(user, pick)?.id, any(organization, pick)?.id];
  if (person === undefined || team === undefined) return;
  if (membership.some((each) => userOf(each) === person && organizationOf(each) === team)) return;
  const member = { user: person, organization: team };
  const added = aClerkMembership(member, madeAt(now)) as ClerkObject;
  membership.push(added);
  return anEvent("organizationMembership.created", added);
};

const changeRole: Change = ({ membership }, pick, now) => {
  const member = any(membership, pick);
  const role = member?.role === "org:admin" ? "org:member" : "org:admin";
  const fields = { role, public_metadata: { since: now } };
  return member && anEvent("organizationMembership.updated", edit(member, fields, now));
};

const leave: Change = ({ membership }, pick) => {
  const left = any(membership, pick);
  if (left === undefined) return;
  remove(membership, ({ id }) => id === left.id);
  return anEvent("organizationMembership.deleted", left);
};

const invite: Change = ({ organization, invitation }, pick, now) => {
  const team = any(organization, pick);
  if (team === undefined) return;
  const added = aClerkInvitation(team.id, madeAt(now)) as ClerkObject;
  invitation.push(added);
  return anEvent("organizationInvitation.created", added);
};

const revoke: Change = ({ invitation }, pick, now) => {
  const revoked = any(invitation, pick);
  return revoked &&
    anEvent("organizationInvitation.revoked", edit(revoked, { status: "revoked" }, now));
};

/** The more frequent ones several times. */
const CHANGES = [
  ...[signUp, signUp, rename, rename, rename, rename, deleteAnyUser] as const,
  ...[found, found, renameOrganization, deleteOrganization] as const,
  ...[join, join, join, join, join, changeRole, changeRole, leave, leave, invite, revoke] as const,
] as const;

function madeAt(now: number): JsonObject {
  return { created_at: now, updated_at: now };
}

function edit(object: ClerkObject, fields: JsonObject, now: number): ClerkObject {
  return Object.assign(object, fields, { updated_at: now });
}

function any(objects: readonly ClerkObject[], pick: Pick): ClerkObject | undefined {
  return objects[pick(objects.length)];
}

function remove(objects: ClerkObject[], isRemoved: (object: ClerkObject) => boolean): void {
  objects.splice(0, Infinity, ...objects.filter((object) => !isRemoved(object)));
}

function userOf({ public_user_data }: ClerkObject): unknown {
  return (public_user_data as JsonObject).user_id;
}

function organizationOf({ organization }: ClerkObject): unknown {
  return (organization as JsonObject).id;
}
