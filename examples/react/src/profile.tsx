import { Avatar } from "./avatar.tsx";
import { supabase } from "./supabase.ts";
import { useLive } from "./use_live.ts";

/** Creates the row if the webhook has not done so yet, as right after sign-up. */
const loadProfile = () => supabase.rpc("ensure_profile").maybeSingle();

/** The user's own row of `profiles`. */
export function Profile({ userId }: { userId: string }) {
  const answer = useLive(loadProfile, userId, "profiles");
  const profile = answer?.data;

  return (
    <section aria-labelledby="profile">
      <h2 id="profile">Your profile</h2>
      {answer === undefined && <p>Loading…</p>}
      {answer?.error && <p role="alert">{answer.error.message}</p>}
      {answer?.error === null && !profile && <p>This account has been deleted or blocked.</p>}
      {profile && (
        <>
          <div className="person">
            <Avatar name={profile.full_name ?? profile.email ?? ""} url={profile.image_url} />
            <p aria-live="polite">
              <strong>{profile.full_name ?? "No name yet"}</strong>
              <br />
              {profile.updated_at === null
                ? "The row is there; Clerk’s webhook will fill it in."
                : profile.email ?? "No email address"}
            </p>
          </div>
          <dl>
            <dt>Id</dt>
            <dd>
              <code>{profile.id}</code>
            </dd>
            <dt>Email verified</dt>
            <dd>{profile.email_verified ? "yes" : "no"}</dd>
            <dt>Changed</dt>
            <dd>{profile.updated_at ? new Date(profile.updated_at).toLocaleString() : "never"}</dd>
          </dl>
        </>
      )}
    </section>
  );
}
