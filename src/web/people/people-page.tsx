/** `#/people`: users, everybody's keys and sessions; for administrators. */
import { may } from "../api/session.ts";
import { NotAllowed } from "../shell/not-allowed.tsx";
import { KeysSection } from "./keys-section.tsx";
import { SessionsSection } from "./sessions-section.tsx";
import { UsersSection } from "./users-section.tsx";

export function PeoplePage() {
  if (!may("people:read")) return <NotAllowed what="People, their roles and keys are managed by administrators." />;
  return (
    <div class="page">
      <header class="page-head">
        <h1>People</h1>
      </header>
      <UsersSection />
      <KeysSection all />
      <SessionsSection all />
    </div>
  );
}
