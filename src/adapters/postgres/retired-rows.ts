/** Series of forgotten things: their names go at once, their rows behind. */
import { RETIRED } from "../../telemetry/mod.ts";
import type { Session } from "./session.ts";

export async function pointsOf(session: Session, series: readonly number[]): Promise<number> {
  const count = (table: string): string => `(SELECT count(*) FROM ${table} WHERE series = ANY($1))`;
  const [row] = await session.query(`SELECT ${count("points")} + ${count("texts")}`, [series]);
  return Number(row![0]);
}

/** In the caller's transaction. The numbers stay taken: points of others may not come to mean the forgotten thing's. */
export async function retireSeries(writer: Session, series: readonly number[]): Promise<void> {
  const sql = "UPDATE series SET thing = $2, measurement = '', field = '' WHERE id = ANY($1)";
  await writer.query(sql, [series, RETIRED]);
  await writer.query("DELETE FROM latest WHERE series = ANY($1)", [series]);
}

/** How many rows there were. TimescaleDB's continuous aggregates follow with their next refresh. */
export async function deleteRetired(session: Session): Promise<number> {
  let gone = 0;
  for (const table of ["points", "texts"]) {
    const sql = `DELETE FROM ${table} WHERE series IN (SELECT id FROM series WHERE thing = $1)`;
    gone += await session.change(sql, [RETIRED]);
  }
  return gone;
}
