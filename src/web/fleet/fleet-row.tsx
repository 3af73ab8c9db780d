/** One thing in the fleet's table. Redraws alone. */
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { FleetEntry, LatestValue } from "../../cloud/api/contract.ts";
import { alertsStatus } from "../alerts/alert-store.ts";
import { Sparkline } from "../charts/sparkline.tsx";
import { formatAge, formatTime } from "../format/time.ts";
import { formatParts } from "../format/units.ts";
import { isLive, serverNow } from "../live/live.ts";
import { PresenceTag } from "../shell/presence.tsx";
import { IconBell } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { plural } from "../format/labels.ts";
import { headlineValue } from "./headline.ts";
import type { HeadlineColumn } from "./headline.ts";
import { SPARK_SPAN, SPARK_WINDOW } from "./spark-store.ts";
import type { SparkStore } from "./spark-store.ts";

/** A value older than this is no longer "now", even of a thing that is online. */
const FRESH_MS = 120_000;

export interface FleetRowProps {
  readonly row: Signal<FleetEntry>;
  readonly columns: readonly HeadlineColumn[];
  readonly sparks: SparkStore;
  readonly alertCounts: Signal<ReadonlyMap<string, number>>;
}

export function FleetRow({ row, columns, sparks, alertCounts }: FleetRowProps) {
  const entry = row.value;
  const { thingName, presence } = entry;
  const element = useRef<HTMLTableRowElement>(null);
  const first = columns[0];
  useEffect(() => {
    if (first === undefined || headlineValue(row.peek(), first) === null) return undefined;
    const seen = new IntersectionObserver(([e]) => {
      if (e!.isIntersecting) sparks.want(thingName, first);
    });
    seen.observe(element.current!);
    return () => seen.disconnect();
  }, [thingName, first, sparks]);
  const alertCount = alertsStatus.value.loaded ? (alertCounts.value.get(thingName) ?? 0) : entry.activeAlerts;
  return (
    <tr
      ref={element}
      data-thing={thingName}
      class={isLive.value && presence.state === "online" ? undefined : "is-stale"}
    >
      <th scope="row" class="cell-thing">
        <a class="thing-link" href={hrefOf({ page: "thing", thing: thingName, range: null })}>
          {thingName}
        </a>
        {entry.thingTypeName !== null && <span class="thing-type">{entry.thingTypeName}</span>}
      </th>
      <td class="cell-status">
        <PresenceTag presence={presence} />
      </td>
      <td class="cell-seen">
        <LastSeen at={lastSeenOf(entry)} />
      </td>
      {columns.map((column, i) => (
        <HeadlineCells key={column.field} entry={entry} column={column} sparks={i === 0 ? sparks : null} />
      ))}
      <td class="cell-alerts is-number">
        {alertCount > 0 ? (
          <span class="alert-count" aria-label={plural(alertCount, "active alert")}>
            <IconBell />
            {alertCount}
          </span>
        ) : (
          <span class="none" aria-label="no alerts">
            –
          </span>
        )}
      </td>
    </tr>
  );
}

/** Presence tells connects and disconnects; between them the newest reading is the proof of life. */
function lastSeenOf({ presence, headline }: FleetEntry): number | null {
  if (presence.lastSeenAt === null || presence.state !== "online") return presence.lastSeenAt;
  return Math.max(presence.lastSeenAt, ...headline.map((value) => Math.min(value.time, serverNow.peek())));
}

function LastSeen({ at }: { readonly at: number | null }) {
  if (at === null) return <span class="none">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at)}>
      {formatAge(serverNow.value - at)}
    </time>
  );
}

interface HeadlineCellsProps {
  readonly entry: FleetEntry;
  readonly column: HeadlineColumn;
  /** Null where this column has no small line. */
  readonly sparks: SparkStore | null;
}

function HeadlineCells({ entry, column, sparks }: HeadlineCellsProps) {
  const value = headlineValue(entry, column);
  return (
    <>
      {sparks !== null && (
        <td class="cell-spark">
          {value !== null && <Spark thing={entry.thingName} column={column} sparks={sparks} />}
        </td>
      )}
      <td class="cell-value is-number" data-label={column.label}>
        {value === null ? (
          <span class="none">–</span>
        ) : (
          <Value value={value} column={column} online={entry.presence.state === "online"} />
        )}
      </td>
    </>
  );
}

function Spark({
  thing,
  column,
  sparks,
}: {
  readonly thing: string;
  readonly column: HeadlineColumn;
  readonly sparks: SparkStore;
}) {
  const points = sparks.points(thing, column).value;
  // The line moves when a point comes, not with every tick.
  const to = Math.max(points.at(-1)?.time ?? 0, serverNow.peek());
  return (
    <Sparkline
      points={points}
      from={to - SPARK_SPAN}
      to={to}
      percent={column.unit === "percent"}
      gap={3 * SPARK_WINDOW}
    />
  );
}

interface ValueProps {
  readonly value: LatestValue;
  readonly column: HeadlineColumn;
  readonly online: boolean;
}

function Value({ value, column, online }: ValueProps) {
  if (typeof value.value !== "number") return <>{String(value.value)}</>;
  const { number, suffix } = formatParts(value.value, column.unit);
  const age = serverNow.value - value.time;
  const stale = !online || !isLive.value || age > FRESH_MS;
  return (
    <span class={stale ? "value is-stale" : "value"} title={stale ? formatAge(age) : undefined}>
      {number}
      {suffix !== "" && <span class="unit">{suffix}</span>}
      {column.unit === "percent" && (
        <span class="meter" style={{ "--share": Math.min(1, Math.max(0, value.value / 100)) }} />
      )}
    </span>
  );
}
