/** Names of series and de-duplication states, as rows. */
import type { SequenceRow, SeriesEntry } from "../../telemetry/mod.ts";
import type { Session } from "./session.ts";

export async function saveSeries(session: Session, entries: readonly SeriesEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await session.query(
    "INSERT INTO series SELECT * FROM unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::text[])",
    [
      entries.map(({ id }) => id),
      entries.map(({ thing }) => thing),
      entries.map(({ measurement }) => measurement),
      entries.map(({ field }) => field),
      entries.map(({ type }) => type),
    ],
  );
}

/** `used` orders by commit, and within one by place. */
export async function saveSequences(session: Session, changed: readonly SequenceRow[], commit: number): Promise<void> {
  if (changed.length === 0) return;
  const newest = new Map(changed.map((row) => [JSON.stringify([row.source, row.outbox]), row]));
  const rows = [...newest.values()];
  const gone = rows.filter(({ state }) => state === null);
  const kept = rows.filter(({ state }) => state !== null);
  if (gone.length > 0) {
    await session.query(
      "DELETE FROM sequences USING unnest($1::text[], $2::text[]) AS gone (source, outbox) WHERE sequences.source = gone.source AND sequences.outbox = gone.outbox",
      [gone.map(({ source }) => source), gone.map(({ outbox }) => outbox)],
    );
  }
  if (kept.length === 0) return;
  await session.query(
    `INSERT INTO sequences SELECT source, outbox, state, $4::bigint * 16777216 + place
     FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS new (source, outbox, state, place)
     ON CONFLICT (source, outbox) DO UPDATE SET state = excluded.state, used = excluded.used`,
    [kept.map(({ source }) => source), kept.map(({ outbox }) => outbox), kept.map(({ state }) => state), commit],
  );
}
