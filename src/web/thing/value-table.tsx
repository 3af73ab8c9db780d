/** Every value that the thing last sent, with its age: also the strings, which have no chart. */
import type { LatestValue } from "../../cloud/api/contract.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { formatValue, unitFor } from "../format/units.ts";
import { serverNow } from "../live/live.ts";
import type { ThingFeed } from "./thing-feed.ts";

export function ValueTable({ feed }: { readonly feed: ThingFeed }) {
  const values = [...feed.latest.value.values()].sort(byName);
  const texts = values.filter((value) => typeof value.value === "string");
  return (
    <>
      {texts.length > 0 && (
        <section class="values">
          <h2>Texts</h2>
          <Values values={texts} />
        </section>
      )}
      <details class="values">
        <summary>
          All values <span class="count">{plural(values.length, "field")}</span>
        </summary>
        <Values values={values} />
      </details>
    </>
  );
}

function Values({ values }: { readonly values: readonly LatestValue[] }) {
  return (
    <div class="table-frame" tabIndex={0} role="region" aria-label="Values">
      <table>
        <thead>
          <tr>
            <th scope="col">Measurement</th>
            <th scope="col">Field</th>
            <th scope="col" class="is-number">
              Last value
            </th>
            <th scope="col">Age</th>
          </tr>
        </thead>
        <tbody>
          {values.map((value) => (
            <tr key={`${value.measurement}\t${value.field}`}>
              <td class="muted">{value.measurement}</td>
              <th scope="row">{value.field}</th>
              <td class="is-number">{textOf(value)}</td>
              <td class="muted" title={formatTime(value.time)}>
                {formatAge(serverNow.value - value.time)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function textOf({ value, field, unit }: LatestValue): string {
  return typeof value === "number" ? formatValue(value, unitFor(field, unit)) : String(value);
}

const collator = new Intl.Collator("en", { numeric: true });

function byName(a: LatestValue, b: LatestValue): number {
  return collator.compare(`${a.measurement}\t${a.field}`, `${b.measurement}\t${b.field}`);
}
