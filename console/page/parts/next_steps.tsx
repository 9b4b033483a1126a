import type { VNode } from "preact";
import { useProject } from "../project.ts";
import { hrefOf } from "../route.ts";
import { Command } from "./copy.tsx";

/** What a fresh installation needs, step by step. */
export function FirstSteps(): VNode {
  return useProject().can_try
    ? (
      <ol class="steps">
        <li>
          <h3>Send an event as Clerk would</h3>
          <p class="muted">It is signed, verified and written to profiles, and appears here.</p>
          <a class="button primary" href={hrefOf("try")}>Try an event</a>
          <Command words="send user.created" />
        </li>
        <li>
          <h3>Read the row as that user</h3>
          <p class="muted">
            <a href={hrefOf("view-as")}>View as</a>{" "}
            asks with their session token, so row-level security decides.
          </p>
        </li>
        <li>
          <h3>Bring your own users</h3>
          <p class="muted">With CLERK_SECRET_KEY set, this reads them from Clerk's API.</p>
          <Command words="backfill" />
        </li>
      </ol>
    )
    : (
      <ol class="steps">
        <li>
          <h3>Tell Clerk where the webhook is</h3>
          <p class="muted">
            In Clerk's dashboard, under Webhooks, add the URL of the function clerk-webhook as an
            endpoint, and set its signing secret for the function.
          </p>
        </li>
        <li>
          <h3>Bring the users who already exist</h3>
          <Command words="backfill" />
        </li>
        <li>
          <h3>See that all is well</h3>
          <Command words="status" />
        </li>
      </ol>
    );
}
