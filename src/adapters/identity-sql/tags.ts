/** Tags of resources. */
import type { Tag, TagStore } from "../../registry/mod.ts";
import { rowsOf } from "./sql.ts";
import type { Sql, Touched } from "./sql.ts";

export class TagTable implements TagStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  of(resource: string): readonly Tag[] {
    const text = "SELECT key, value FROM tags WHERE tenant = $1 AND resource = $2 ORDER BY key";
    return this.#sql.rows(text, [resource]).map(([key, value]) => ({ key: String(key), value: String(value) }));
  }

  save(resource: string, tags: readonly Tag[]): void {
    if (tags.length === 0) return;
    this.#sql.change(
      `INSERT INTO tags VALUES ${rowsOf(tags.length, 3)}
       ON CONFLICT (tenant, resource, key) DO UPDATE SET value = excluded.value`,
      tags.flatMap(({ key, value }) => [resource, key, value]),
      touched(resource),
    );
  }

  remove(resource: string, keys: readonly string[] | null): void {
    if (keys?.length === 0) return;
    const some = keys === null ? "" : ` AND key IN (${keys.map((_, index) => `$${index + 3}`).join(", ")})`;
    const text = `DELETE FROM tags WHERE tenant = $1 AND resource = $2${some}`;
    this.#sql.change(text, [resource, ...(keys ?? [])], touched(resource));
  }
}

function touched(resource: string): readonly Touched[] {
  return [["tags", resource, "updated"]];
}
