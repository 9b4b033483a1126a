import { Avatar } from "./avatar.tsx";
import { supabase } from "./supabase.ts";
import { useLive } from "./use_live.ts";

const loadTeam = (organizationId: string) =>
  supabase
    .from("organization_memberships")
    .select(
      "id, user_id, role, role_name, member_name, member_image_url, organization:organizations(name)",
    )
    .eq("organization_id", organizationId)
    .order("member_name")
    .limit(100);

/** The members of the active organization. */
export function Team({ organizationId, userId }: { organizationId: string; userId: string }) {
  const answer = useLive(loadTeam, organizationId);
  const members = answer?.data ?? [];

  return (
    <section aria-labelledby="team">
      <h2 id="team">{members[0]?.organization.name ?? "Your team"}</h2>
      {answer === undefined && <p>Loading…</p>}
      {answer?.error && <p role="alert">{answer.error.message}</p>}
      {answer?.error === null && members.length === 0 && (
        <p>Nobody yet; Clerk’s webhook will bring the members.</p>
      )}
      <ul className="members" aria-live="polite">
        {members.map((member) => (
          <li key={member.id} className="person">
            <Avatar name={member.member_name ?? ""} url={member.member_image_url} />
            <span>
              {member.member_name ?? "No name yet"}
              {member.user_id === userId && " (you)"}
            </span>
            <span className="role">{member.role_name ?? member.role}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
