/**
 * What provisioning remembers of a thing that leaves. Records are documents, looked through in pages of their key; a thing's
 * name is ASCII, so it stands in them as it is.
 */
import type { JoinCodeRecord } from "../../identity/mod.ts";
import type { Database, Row, Value } from "./sql.ts";

export interface RecordsPage {
  readonly removed: number;
  readonly upTo: string | null;
}

/** Join and enrolment codes. One of a template lets others in still, and only forgets that this one has come by it. */
export function removeCodesOf(db: Database, thing: string): number {
  return db.transaction(() => {
    const enrolment = db.change("DELETE FROM enrolment_codes WHERE tenant = $1 AND thing = $2 RETURNING 1", [thing]);
    const named = `SELECT document FROM join_codes WHERE tenant = $1 AND ${db.position}(document, $2) > 0`;
    let removed = enrolment.length;
    for (const [document] of db.rows(named, [nameIn(thing)])) {
      const code = JSON.parse(String(document)) as JoinCodeRecord;
      if (code.offer.kind === "thing" && code.offer.thing === thing) {
        db.change("DELETE FROM join_codes WHERE tenant = $1 AND hash = $2", [code.secretHash]);
        removed++;
        continue;
      }
      const joined = code.joined.filter((each) => each.thing !== thing);
      const text = "UPDATE join_codes SET document = $3 WHERE tenant = $1 AND hash = $2";
      db.change(text, [code.secretHash, JSON.stringify({ ...code, joined })]);
    }
    return removed;
  });
}

/** Bulk files first, then registration tasks: `bulk KEY`, `task ID LINE`; "" begins, null ends. */
export function removeRecordsOf(db: Database, thing: string, after: string, limit: number): RecordsPage {
  const [kind, first = "", second = "-1"] = after.split(" ");
  return kind === "task"
    ? removeFromTasks(db, thing, [first, Number(second)], limit)
    : removeFromBulk(db, thing, first, limit);
}

function removeFromBulk(db: Database, thing: string, after: string, limit: number): RecordsPage {
  const page = `tenant = $1 AND key_hash > $2`;
  const end = lastOf(db, `SELECT key_hash FROM bulk_devices WHERE ${page} ORDER BY key_hash LIMIT 1 OFFSET $3`, [
    after,
    limit - 1,
  ]);
  const upTo = end === undefined ? "" : " AND key_hash <= $4";
  const text = `DELETE FROM bulk_devices WHERE ${page} AND ${db.position}(document, $3) > 0${upTo} RETURNING 1`;
  const values = [after, nameIn(thing), ...(end === undefined ? [] : [String(end[0])])];
  const removed = db.transaction(() => db.change(text, values)).length;
  return { removed, upTo: end === undefined ? "task" : `bulk ${String(end[0])}` };
}

/** A line stays, for a task's numbers; it says no more which thing came of it. */
function removeFromTasks(db: Database, thing: string, after: readonly [string, number], limit: number): RecordsPage {
  const page = "tenant = $1 AND (task > $2 OR task = $2 AND line > $3)";
  const end = lastOf(
    db,
    `SELECT task, line FROM registration_lines WHERE ${page} ORDER BY task, line LIMIT 1 OFFSET $4`,
    [...after, limit - 1],
  );
  const upTo = end === undefined ? "" : " AND (task < $5 OR task = $5 AND line <= $6)";
  const text = `UPDATE registration_lines SET document = replace(document, $4, '"thing":null')
    WHERE ${page} AND ${db.position}(document, $4) > 0${upTo} RETURNING 1`;
  const place: readonly Value[] = end === undefined ? [] : [String(end[0]), Number(end[1])];
  const removed = db.transaction(() => db.change(text, [...after, nameIn(thing), ...place])).length;
  return { removed, upTo: end === undefined ? null : `task ${String(end[0])} ${String(end[1])}` };
}

function nameIn(thing: string): string {
  return `"thing":${JSON.stringify(thing)}`;
}

function lastOf(db: Database, text: string, values: readonly Value[]): Row | undefined {
  return db.rows(text, values)[0];
}
