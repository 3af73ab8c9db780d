/** The newest point of each series, so that a start need not read all rows. */
import type { LatestRow } from "../../telemetry/mod.ts";
import type { Session } from "./session.ts";

const PAGE_ROWS = 50_000;

/** All of them, in one transaction. `covered`: rows that had arrived by then. */
export async function saveLatest(writer: Session, rows: readonly LatestRow[], covered: number): Promise<void> {
  await writer.query("BEGIN");
  await writer.query("DELETE FROM latest");
  for (let from = 0; from < rows.length; from += PAGE_ROWS) {
    const page = rows.slice(from, from + PAGE_ROWS);
    await writer.query(
      "INSERT INTO latest SELECT * FROM unnest($1::integer[], $2::bigint[], $3::double precision[], $4::text[])",
      [
        page.map(({ series }) => series),
        page.map(({ time }) => time),
        page.map(({ value }) => exact(value)),
        page.map(({ text }) => text),
      ],
    );
  }
  await writer.query("UPDATE state SET latest_covers = $1", [covered]);
  await writer.query("COMMIT");
}

/** The driver writes a negative zero as "0". */
function exact(value: number | null): number | string | null {
  return Object.is(value, -0) ? "-0" : value;
}
