/** What became of a rule since the platform's start. */
import type { LogLag, RuleDetail, RuleMishap } from "../../cloud/api/contract.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { IconWarning } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { Stat } from "../shell/stat.tsx";
import { behindWords } from "./rule-words.ts";

export function RuleFacts({ rule }: { readonly rule: RuleDetail }) {
  const { activity, disabled, name, behind } = rule;
  if (activity === null) {
    return (
      <>
        <p class="muted rule-facts">
          {disabled
            ? "It is switched off: messages pass it by, and those that do are not made up for."
            : "It only stores, which the store does by itself: its matches are not counted one by one."}
        </p>
        <Behind lag={behind} />
      </>
    );
  }
  const { matched, lastMatchAt, delivered, retried, dead, failed, failure, deliveryFailure } = activity;
  return (
    <section class="rule-facts" aria-label="Since the platform's start">
      <dl class="stats">
        <Stat label="Matched" value={matched} />
        <Stat label="Delivered" value={delivered} />
        <Stat label="Tried again" value={retried} />
        <div class="stat" data-stat="Given up">
          <dt>Given up</dt>
          <dd>
            {dead === 0 ? (
              "0"
            ) : (
              <a class="link" href={hrefOf({ page: "dead-letters", receiver: null, rule: name })}>
                {dead.toLocaleString("en")}
              </a>
            )}
          </dd>
        </div>
        <Stat label="Failed on" value={failed} />
        <div class="stat">
          <dt>Last match</dt>
          <dd title={lastMatchAt === null ? undefined : formatTime(lastMatchAt)}>
            {lastMatchAt === null ? "none" : formatAge(Math.max(0, serverNow.value - lastMatchAt))}
          </dd>
        </div>
      </dl>
      <Behind lag={behind} />
      <Mishap what="The rule failed" mishap={failure} />
      <Mishap what="A delivery failed" mishap={deliveryFailure} />
    </section>
  );
}

/** Only where somebody would notice: a moment behind is how it works. */
function Behind({ lag }: { readonly lag: LogLag | null }) {
  const words = lag === null ? null : behindWords(lag);
  if (words === null) return null;
  return (
    <p class="rule-mishap" data-behind={lag!.messages}>
      <IconWarning />
      <span>{words}</span>
    </p>
  );
}

export function Mishap({ what, mishap }: { readonly what: string; readonly mishap: RuleMishap | null }) {
  if (mishap === null) return null;
  return (
    <p class="rule-mishap">
      <IconWarning />
      <span>
        {what}{" "}
        <time dateTime={new Date(mishap.at).toISOString()} title={formatTime(mishap.at)}>
          {formatAge(Math.max(0, serverNow.value - mishap.at))}
        </time>
        : {mishap.reason}
      </span>
    </p>
  );
}
