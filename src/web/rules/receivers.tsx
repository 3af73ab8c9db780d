/** Where a rule sends to, and how those take it. */
import type { RuleReceiver } from "../../cloud/api/contract.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { formatDuration } from "../format/units.ts";
import { serverNow } from "../live/live.ts";
import { IconCheck, IconWarning } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";

export function Receivers({ receivers }: { readonly receivers: readonly RuleReceiver[] }) {
  if (receivers.length === 0) return null;
  return (
    <section class="rule-section">
      <h2>Receivers</h2>
      <div class="table-frame">
        <table class="people-table">
          <thead>
            <tr>
              <th scope="col">Receiver</th>
              <th scope="col">State</th>
              <th scope="col">Waiting</th>
              <th scope="col">Last error</th>
              <th scope="col">
                <span class="sr-only">Dead letters</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {receivers.map((receiver) => (
              <ReceiverRow key={receiver.key} receiver={receiver} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function ReceiverRow({ receiver }: { readonly receiver: RuleReceiver }) {
  const { key, kind, label, waiting, lastFailure } = receiver;
  return (
    <tr data-receiver={label}>
      <td data-label="Receiver">
        {label}
        <span class="key-id">{kind}</span>
      </td>
      <td data-label="State">
        <State receiver={receiver} />
      </td>
      <td data-label="Waiting">{waiting.toLocaleString("en")}</td>
      <td data-label="Last error">
        {lastFailure === null ? (
          <span class="muted">none</span>
        ) : (
          <>
            {lastFailure.reason}
            <span class="key-id" title={formatTime(lastFailure.at)}>
              {formatAge(Math.max(0, serverNow.value - lastFailure.at))}
            </span>
          </>
        )}
      </td>
      <td>
        <a class="link" href={hrefOf({ page: "dead-letters", receiver: key, rule: null })}>
          Dead letters<span class="sr-only">{` of ${label}`}</span>
        </a>
      </td>
    </tr>
  );
}

function State({ receiver }: { readonly receiver: RuleReceiver }) {
  const { failures, blockedFor, lastFailure, lastSuccessAt } = receiver;
  if (failures > 0 || blockedFor > 0) {
    return (
      <span class="fact-warning">
        <IconWarning /> {failures > 0 ? "does not take it" : "asked for time"}
        {blockedFor > 0 && `, next attempt in ${formatDuration(Math.max(1_000, blockedFor))}`}
      </span>
    );
  }
  if (lastFailure !== null && lastFailure.at >= (lastSuccessAt ?? 0)) {
    return (
      <span class="fact-warning">
        <IconWarning /> refused the last one
      </span>
    );
  }
  if (lastSuccessAt === null) return <span class="muted">nothing sent yet</span>;
  return (
    <span class="rule-good">
      <IconCheck /> took one {formatAge(Math.max(0, serverNow.value - lastSuccessAt))}
    </span>
  );
}
