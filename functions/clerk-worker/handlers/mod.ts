import type { Handler, Topic } from "../drain/change.ts";

/** The handlers that there are. One that is not configured is undefined, and off. */
export interface Handlers {
  readonly forward: Handler | undefined;
  readonly welcomeEmail: Handler | undefined;
}

/**
 * What runs for which topic. To add a handler: write a file in handlers/, make it in
 * configure.ts from the environment, and name it here.
 */
export function handlerTable(
  { forward, welcomeEmail }: Partial<Handlers>,
): Readonly<Record<Topic, readonly Handler[]>> {
  return {
    "profile.created": on(forward, welcomeEmail),
    "profile.updated": on(forward, welcomeEmail),
    "profile.deleted": on(forward),
    "organization.created": on(forward),
    "organization.updated": on(forward),
    "organization.deleted": on(forward),
    "membership.created": on(forward),
    "membership.updated": on(forward),
    "membership.deleted": on(forward),
  };
}

function on(...handlers: readonly (Handler | undefined)[]): Handler[] {
  return handlers.filter((handler) => handler !== undefined);
}
