/** Things, their attributes, and which certificates stand for them. */
import type { AttachedThing, Attachment, Slice, Thing, ThingFilter, ThingStore } from "../../registry/mod.ts";
import { rowsOf, textOrNull } from "./sql.ts";
import type { Row, Sql, Value } from "./sql.ts";

const THING = "t.name, t.id, t.type, t.billing_group, t.attributes, t.version, t.created_at, t.updated_at";

export class ThingTable implements ThingStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(thingName: string): Thing | undefined {
    return this.#sql.rows(`SELECT ${THING} FROM things t WHERE tenant = $1 AND name = $2`, [thingName]).map(thingOf)[0];
  }

  save(thing: Thing): void {
    const { thingName, thingId, thingTypeName, billingGroupName, version, createdAt, updatedAt } = thing;
    const attributes = Object.entries(thing.attributes);
    this.#sql.change(
      `INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (tenant, name) DO UPDATE SET
       id = excluded.id, type = excluded.type, billing_group = excluded.billing_group, attributes = excluded.attributes,
       version = excluded.version, created_at = excluded.created_at, updated_at = excluded.updated_at,
       searchable = excluded.searchable`,
      [
        thingName,
        thingId,
        thingTypeName,
        billingGroupName,
        JSON.stringify(thing.attributes),
        version,
        createdAt,
        updatedAt,
        searchable(thing),
      ],
      [["thing", thingName, "updated"]],
    );
    if (version > 1) this.#sql.change("DELETE FROM thing_attributes WHERE tenant = $1 AND thing = $2", [thingName]);
    if (attributes.length === 0) return;
    this.#sql.change(
      `INSERT INTO thing_attributes VALUES ${rowsOf(attributes.length, 3)}`,
      attributes.flatMap(([name, value]) => [name, value, thingName]),
    );
  }

  remove(thingName: string): void {
    const attached = this.attachmentsOf(thingName);
    this.#sql.change(
      "DELETE FROM things WHERE tenant = $1 AND name = $2",
      [thingName],
      [
        ["thing", thingName, "deleted"],
        ...attached.map(({ certificateId }) => ["certificate", certificateId, "updated"] as const),
      ],
    );
  }

  list(filter: ThingFilter, slice: Slice<string>): readonly Thing[] {
    const { attributeName, attributeValue, prefix, search, thingTypeName } = filter;
    if (attributeName !== undefined && attributeValue !== undefined && prefix !== true && search === undefined) {
      return this.#withAttribute([attributeName, attributeValue], thingTypeName, slice);
    }
    const { where, values } = conditionsOf(filter, [slice.after ?? "", slice.limit], this.#sql.position);
    const text = `SELECT ${THING} FROM things t WHERE tenant = $1 AND name > $2 ${where} ORDER BY name LIMIT $3`;
    return this.#sql.rows(text, values).map(thingOf);
  }

  /** The attributes' index has these things in the listing's order: a page costs what it shows. */
  #withAttribute(
    attribute: readonly Value[],
    type: string | undefined,
    { after, limit }: Slice<string>,
  ): readonly Thing[] {
    const ofType = type === undefined ? "" : "AND t.type = $6";
    const text = `SELECT ${THING} FROM thing_attributes a CROSS JOIN things t
      WHERE a.tenant = $1 AND a.name = $2 AND a.value = $3 AND a.thing > $4
        AND t.tenant = $1 AND t.name = a.thing ${ofType} ORDER BY a.thing LIMIT $5`;
    return this.#sql.rows(text, [...attribute, after ?? "", limit, ...(type === undefined ? [] : [type])]).map(thingOf);
  }

  count(filter: ThingFilter): number {
    const { where, values } = conditionsOf(filter, [], this.#sql.position);
    return Number(this.#sql.rows(`SELECT count(*) FROM things t WHERE tenant = $1 ${where}`, values)[0]?.[0] ?? 0);
  }

  attach({ thingName, certificateId, type }: Attachment): void {
    this.#sql.change(
      `INSERT INTO thing_principals VALUES ($1, $2, $3, $4)
       ON CONFLICT (tenant, thing, certificate) DO UPDATE SET exclusive = excluded.exclusive`,
      [thingName, certificateId, type === "EXCLUSIVE_THING" ? 1 : 0],
      [["certificate", certificateId, "updated"]],
    );
  }

  detach(thingName: string, certificateId: string): boolean {
    const rows = this.#sql.change(
      "DELETE FROM thing_principals WHERE tenant = $1 AND thing = $2 AND certificate = $3 RETURNING 1",
      [thingName, certificateId],
      [["certificate", certificateId, "updated"]],
    );
    return rows.length > 0;
  }

  attachmentsOf(thingName: string): readonly Attachment[] {
    const text = `SELECT thing, certificate, exclusive FROM thing_principals
      WHERE tenant = $1 AND thing = $2 ORDER BY certificate`;
    return this.#sql.rows(text, [thingName]).map(attachmentOf);
  }

  attachedTo(certificateId: string): readonly Attachment[] {
    const text = `SELECT thing, certificate, exclusive FROM thing_principals
      WHERE tenant = $1 AND certificate = $2 ORDER BY thing`;
    return this.#sql.rows(text, [certificateId]).map(attachmentOf);
  }

  ofCertificate(certificateId: string): readonly AttachedThing[] {
    const text = `SELECT ${THING}, p.exclusive FROM thing_principals p CROSS JOIN things t
      WHERE p.tenant = $1 AND p.certificate = $2 AND t.tenant = $1 AND t.name = p.thing ORDER BY t.name`;
    return this.#sql
      .rows(text, [certificateId])
      .map((row) => ({ thing: thingOf(row), exclusive: Number(row.at(-1)) === 1 }));
  }
}

/** What a search looks at, in one text: one comparison per thing instead of one per attribute. */
function searchable({ thingName, thingTypeName, attributes }: Thing): string {
  return [thingName, thingTypeName ?? "", ...Object.values(attributes)].join("\n").toLowerCase();
}

/** The texts of the conditions are few, so the prepared statements are too. */
function conditionsOf(
  filter: ThingFilter,
  before: readonly Value[],
  position: Sql["position"],
): { readonly where: string; readonly values: readonly Value[] } {
  let where = "";
  const values = [...before];
  const next = (value: Value): string => `$${values.push(value) + 1}`;
  if (filter.thingTypeName !== undefined) where += ` AND type = ${next(filter.thingTypeName)}`;
  const { attributeName: name, attributeValue: value } = filter;
  if (name !== undefined) {
    where += ` AND t.name IN (SELECT thing FROM thing_attributes a WHERE a.tenant = $1 AND a.name = ${next(name)}`;
    if (value !== undefined && filter.prefix === true) {
      where += ` AND a.value >= ${next(value)} AND a.value < ${next(`${value}\u{10ffff}`)}`;
    } else if (value !== undefined) {
      where += ` AND a.value = ${next(value)}`;
    }
    where += ")";
  }
  if (filter.search !== undefined && filter.search !== "") {
    where += ` AND ${position}(searchable, ${next(filter.search.toLowerCase())}) > 0`;
  }
  return { where, values };
}

function thingOf([name, id, type, billingGroup, attributes, version, createdAt, updatedAt]: Row): Thing {
  return {
    thingName: String(name),
    thingId: String(id),
    thingTypeName: textOrNull(type),
    billingGroupName: textOrNull(billingGroup),
    attributes: JSON.parse(String(attributes)) as Record<string, string>,
    version: Number(version),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}

function attachmentOf([thing, certificate, exclusive]: Row): Attachment {
  return {
    thingName: String(thing),
    certificateId: String(certificate),
    type: Number(exclusive) === 1 ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING",
  };
}
