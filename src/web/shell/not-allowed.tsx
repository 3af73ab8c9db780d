/** A page that is there, for others. */
import { session } from "../api/session.ts";
import { hrefOf } from "./router.ts";
import { ErrorState } from "./states.tsx";

export function NotAllowed({ what }: { readonly what: string }) {
  const current = session.value;
  const who = current.kind === "active" && current.info.role !== null ? `As ${current.info.role} you` : "You";
  return (
    <div class="page is-narrow">
      <ErrorState
        alone
        error={{
          code: "PERMISSION_DENIED",
          message: `${who} may not see this page.`,
          fix: `${what} Ask one of them for what you need.`,
        }}
      />
      <p class="centered">
        <a class="button" href={hrefOf({ page: "fleet", search: "" })}>
          To the fleet
        </a>
      </p>
    </div>
  );
}
