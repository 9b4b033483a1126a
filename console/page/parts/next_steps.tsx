import type { VNode } from "preact";
import { useProject } from "../project.ts";
import { hrefOf } from "../route.ts";
import { Command } from "./copy.tsx";

/** What a fresh installation needs next. */
export function WhatToDoNext(): VNode {
  const { can_try } = useProject();
  return can_try
    ? (
      <>
        <p>Send an event as Clerk would. It appears here within a second.</p>
        <a class="button primary" href={hrefOf("try")}>Try an event</a>
        <Command words="send user.created" />
      </>
    )
    : (
      <>
        <p>
          Clerk has not reached this project yet. Check that the webhook's endpoint is set up in
          Clerk's dashboard, and bring the users who already exist.
        </p>
        <Command words="backfill" />
      </>
    );
}
