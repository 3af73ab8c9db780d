/** Passwords of things that cannot hold a certificate, as hashes. */
import type { DevicePassword, PasswordStore } from "../../registry/mod.ts";
import type { Row, Sql } from "./sql.ts";

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
      `INSERT INTO device_passwords VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, thing) DO UPDATE SET
       hash = excluded.hash, version = excluded.version, updated_at = excluded.updated_at`,
      [thingName, hash, version, createdAt, updatedAt],
      [["password", thingName, "updated"]],
    );
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
