/** Thing types. */
import type { Slice, ThingType, ThingTypeStore } from "../../registry/mod.ts";
import { numberOrNull, textOrNull } from "./sql.ts";
import type { Row, Sql } from "./sql.ts";

const TYPE = "name, id, description, searchable, deprecated_at, created_at, updated_at";

export class ThingTypeTable implements ThingTypeStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(thingTypeName: string): ThingType | undefined {
    const text = `SELECT ${TYPE} FROM thing_types WHERE tenant = $1 AND name = $2`;
    return this.#sql.rows(text, [thingTypeName]).map(typeOf)[0];
  }

  save(type: ThingType): void {
    const { thingTypeName, thingTypeId, description, deprecatedAt, createdAt, updatedAt } = type;
    const searchable = JSON.stringify(type.searchableAttributes);
    this.#sql.change(
      `INSERT INTO thing_types VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, name) DO UPDATE SET
       description = excluded.description, searchable = excluded.searchable, deprecated_at = excluded.deprecated_at,
       updated_at = excluded.updated_at`,
      [thingTypeName, thingTypeId, description, searchable, deprecatedAt, createdAt, updatedAt],
      [["type", thingTypeName, "updated"]],
    );
  }

  remove(thingTypeName: string): void {
    this.#sql.change(
      "DELETE FROM thing_types WHERE tenant = $1 AND name = $2",
      [thingTypeName],
      [["type", thingTypeName, "deleted"]],
    );
  }

  list(slice: Slice<string>): readonly ThingType[] {
    const text = `SELECT ${TYPE} FROM thing_types WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3`;
    return this.#sql.rows(text, [slice.after ?? "", slice.limit]).map(typeOf);
  }
}

function typeOf([name, id, description, searchable, deprecatedAt, createdAt, updatedAt]: Row): ThingType {
  return {
    thingTypeName: String(name),
    thingTypeId: String(id),
    description: textOrNull(description),
    searchableAttributes: JSON.parse(String(searchable)) as string[],
    deprecatedAt: numberOrNull(deprecatedAt),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}
