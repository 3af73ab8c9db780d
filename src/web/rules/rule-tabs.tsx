/** The rules, and what they could not deliver. */
import { useEffect } from "preact/hooks";
import type { DeadLetterReceivers } from "../../cloud/api/contract.ts";
import { useLoaded } from "../people/loaded.ts";
import { hrefOf } from "../shell/router.ts";

export const RULES = hrefOf({ page: "rules", search: "" });
export const DEAD_LETTERS = hrefOf({ page: "dead-letters", receiver: null, rule: null });

/** `changes`: goes up whenever letters have gone. */
export function RuleTabs({ at, changes = 0 }: { readonly at: "rules" | "dead-letters"; readonly changes?: number }) {
  const { value, load } = useLoaded<DeadLetterReceivers>("api/dead-letters/receivers");
  useEffect(() => {
    if (changes > 0) void load();
  }, [changes]);
  const dead = value.value?.receivers.reduce((sum, { count }) => sum + count, 0) ?? 0;
  return (
    <nav class="tabs" aria-label="Rules">
      <a href={RULES} aria-current={at === "rules" ? "page" : undefined}>
        Rules
      </a>
      <a href={DEAD_LETTERS} aria-current={at === "dead-letters" ? "page" : undefined}>
        Dead letters
        {dead > 0 && <span class="count">{dead.toLocaleString("en")}</span>}
      </a>
    </nav>
  );
}

export function BackToRules() {
  return (
    <p class="rule-back">
      <a class="link" href={RULES}>
        Rules
      </a>
    </p>
  );
}
