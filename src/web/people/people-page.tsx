/** `#/people`: users, everybody's keys and sessions; for administrators. */
import { KeysSection } from "./keys-section.tsx";
import { SessionsSection } from "./sessions-section.tsx";
import { UsersSection } from "./users-section.tsx";

export function PeoplePage() {
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
