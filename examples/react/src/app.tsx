import {
  OrganizationSwitcher,
  SignInButton,
  SignUpButton,
  useAuth,
  UserButton,
} from "@clerk/react";
import { Profile } from "./profile.tsx";
import { Team } from "./team.tsx";

export function App() {
  const { isLoaded, userId, orgId } = useAuth();

  return (
    <>
      <header>
        <h1>clerk-sync and React</h1>
        {userId && (
          <div className="controls">
            <OrganizationSwitcher />
            <UserButton />
          </div>
        )}
        {isLoaded && !userId && (
          <div className="controls signed-out">
            <SignInButton mode="modal" />
            <SignUpButton mode="modal" />
          </div>
        )}
      </header>
      <main>
        {!isLoaded && <p>Loading…</p>}
        {isLoaded && !userId && <p>Sign up to see your row of the database.</p>}
        {userId && <Profile key={userId} userId={userId} />}
        {userId && !orgId && (
          <section aria-labelledby="team">
            <h2 id="team">Your team</h2>
            <p>Choose or create an organization to see its members.</p>
          </section>
        )}
        {userId && orgId && <Team key={orgId} organizationId={orgId} userId={userId} />}
      </main>
    </>
  );
}
