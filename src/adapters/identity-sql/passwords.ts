/** Passwords of things that cannot hold a certificate, as hashes. */
import type { EpochMs } from "../../base/mod.ts";
import type { DevicePassword, PasswordStore } from "../../registry/mod.ts";
import { numberOrNull } from "./sql.ts";
import type { Row, Sql, Value } from "./sql.ts";

/** Rows of one statement: two values each, of which PostgreSQL takes 65,535 and SQLite 32,766. */
const USES_AT_ONCE = 500;

export class PasswordTable implements PasswordStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(thingName: string): DevicePassword | undefined {
    const text = `SELECT thing, hash, version, created_at, updated_at FROM device_passwords
      WHERE tenant = $1 AND thing = $2`;
    return this.#sql.rows(text, [thingName]).map(passwordOf)[0];
  }

  save({ thingName, hash, version, createdAt, updatedAt }: DevicePassword): void {
    this.#sql.change(
      `INSERT INTO device_passwords AS p (tenant, thing, hash, version, created_at, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, thing) DO UPDATE SET
       used_at = CASE WHEN p.version = excluded.version THEN p.used_at END,
       hash = excluded.hash, version = excluded.version, updated_at = excluded.updated_at`,
      [thingName, hash, version, createdAt, updatedAt],
      [["password", thingName, "updated"]],
    );
  }

  usedAt(thingName: string): EpochMs | null {
    const text = "SELECT used_at FROM device_passwords WHERE tenant = $1 AND thing = $2";
    return numberOrNull(this.#sql.rows(text, [thingName])[0]?.[0]);
  }

  saveUses(uses: ReadonlyMap<string, EpochMs>): void {
    const all = [...uses];
    for (let from = 0; from < all.length; from += USES_AT_ONCE) {
      const some = all.slice(from, from + USES_AT_ONCE);
      // Types for PostgreSQL, which takes a value in a list for a text.
      const rows = some.map((_, n) => `(CAST($${2 * n + 2} AS TEXT), CAST($${2 * n + 3} AS BIGINT))`).join(", ");
      const values: Value[] = some.flat();
      this.#sql.change(
        `WITH uses (thing, at) AS (VALUES ${rows}) UPDATE device_passwords SET used_at = uses.at FROM uses
         WHERE tenant = $1 AND device_passwords.thing = uses.thing AND uses.at >= updated_at
         AND (used_at IS NULL OR used_at < uses.at)`,
        values,
      );
    }
  }

  remove(thingName: string): void {
    this.#sql.change(
      "DELETE FROM device_passwords WHERE tenant = $1 AND thing = $2",
      [thingName],
      [["password", thingName, "deleted"]],
    );
  }
}

function passwordOf([thing, hash, version, createdAt, updatedAt]: Row): DevicePassword {
  return {
    thingName: String(thing),
    hash: String(hash),
    version: Number(version),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}
