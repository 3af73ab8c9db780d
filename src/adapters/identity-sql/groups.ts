/** Groups of things. A group's ancestors are written down when it is made, itself among them: its parent never changes. */
import type { GroupFilter, GroupQuery, GroupStore, Slice, ThingGroup } from "../../registry/mod.ts";
import { rowsOf, textOrNull } from "./sql.ts";
import type { Row, Sql, Touched, Value } from "./sql.ts";

const GROUP = `g.name, g.id, g.parent, g.description, g.attributes, g.version, g.created_at, g.updated_at,
  g.query, g.query_index, g.query_version, g.status`;

/** Rows of one statement. Few sizes are few texts, and prepared statements are kept by their text. */
const MEMBERS_AT_ONCE = [250, 50, 10, 1];

/** More than fit one notification to other platforms, which then read everything again. */
const CONCERNED_TOLD_MAX = 1_000;

export class GroupTable implements GroupStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(groupName: string): ThingGroup | undefined {
    const text = `SELECT ${GROUP} FROM thing_groups g WHERE tenant = $1 AND name = $2`;
    return this.#sql.rows(text, [groupName]).map(groupOf)[0];
  }

  save(group: ThingGroup): void {
    const { thingGroupName: name, parentGroupName: parent, query } = group;
    this.#sql.change(
      `INSERT INTO thing_groups VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
       ON CONFLICT (tenant, name) DO UPDATE SET description = excluded.description, attributes = excluded.attributes,
       version = excluded.version, updated_at = excluded.updated_at, query = excluded.query,
       query_index = excluded.query_index, query_version = excluded.query_version, status = excluded.status`,
      [
        name,
        group.thingGroupId,
        parent,
        group.description,
        JSON.stringify(group.attributes),
        group.version,
        group.createdAt,
        group.updatedAt,
        query?.queryString ?? null,
        query?.indexName ?? null,
        query?.queryVersion ?? null,
        query?.status ?? null,
      ],
      [["group", name, "updated"]],
    );
    if (group.version > 1) return;
    this.#sql.change("INSERT INTO group_paths VALUES ($1, $2, $2, 0)", [name]);
    if (parent === null) return;
    this.#sql.change(
      `INSERT INTO group_paths SELECT $1, $2, ancestor, height + 1 FROM group_paths WHERE tenant = $1 AND name = $3`,
      [name, parent],
    );
  }

  remove(groupName: string): void {
    const concerned = this.principalsBelow(groupName, CONCERNED_TOLD_MAX);
    this.#sql.change(
      "DELETE FROM thing_groups WHERE tenant = $1 AND name = $2",
      [groupName],
      [["group", groupName, "deleted"], ...concerned.map(touchedPrincipal)],
    );
  }

  list({ parent, recursive, prefix, dynamic }: GroupFilter, slice: Slice<string>): readonly ThingGroup[] {
    const values: Value[] = [slice.after ?? "", slice.limit];
    const next = (value: Value): string => `$${values.push(value) + 1}`;
    let where = "";
    if (parent === undefined) where += recursive === false ? " AND g.parent IS NULL" : "";
    else if (recursive !== true) where += ` AND g.parent = ${next(parent)}`;
    else {
      where += ` AND g.name IN (SELECT name FROM group_paths WHERE tenant = $1 AND ancestor = ${next(parent)}
        AND height > 0)`;
    }
    if (dynamic === true) where += " AND g.query IS NOT NULL";
    if (prefix !== undefined) where += ` AND g.name >= ${next(prefix)} AND g.name < ${next(`${prefix}\u{10ffff}`)}`;
    const text = `SELECT ${GROUP} FROM thing_groups g WHERE g.tenant = $1 AND g.name > $2 ${where}
      ORDER BY g.name LIMIT $3`;
    return this.#sql.rows(text, values).map(groupOf);
  }

  pathTo(groupName: string): readonly ThingGroup[] {
    const text = `SELECT ${GROUP} FROM group_paths p CROSS JOIN thing_groups g
      WHERE p.tenant = $1 AND p.name = $2 AND g.tenant = $1 AND g.name = p.ancestor ORDER BY p.height DESC`;
    return this.#sql.rows(text, [groupName]).map(groupOf);
  }

  addMembers(groupName: string, things: readonly string[]): void {
    for (const some of inPieces(things)) {
      this.#sql.change(
        `INSERT INTO group_members VALUES ${rowsOf(some.length, 2)} ON CONFLICT DO NOTHING`,
        some.flatMap((thing) => [groupName, thing]),
        touchedBy(groupName, some),
      );
    }
  }

  removeMembers(groupName: string, things: readonly string[]): number {
    let removed = 0;
    for (const some of inPieces(things)) {
      const names = some.map((_, index) => `$${index + 3}`).join(", ");
      removed += this.#sql.change(
        `DELETE FROM group_members WHERE tenant = $1 AND group_name = $2 AND thing IN (${names}) RETURNING 1`,
        [groupName, ...some],
        touchedBy(groupName, some),
      ).length;
    }
    return removed;
  }

  members(groupName: string, recursive: boolean, slice: Slice<string>): readonly string[] {
    const text = recursive
      ? `SELECT DISTINCT m.thing FROM group_paths p CROSS JOIN group_members m
         WHERE p.tenant = $1 AND p.ancestor = $2 AND m.tenant = $1 AND m.group_name = p.name AND m.thing > $3
         ORDER BY m.thing LIMIT $4`
      : "SELECT thing FROM group_members WHERE tenant = $1 AND group_name = $2 AND thing > $3 ORDER BY thing LIMIT $4";
    return this.#sql.rows(text, [groupName, slice.after ?? "", slice.limit]).map(([thing]) => String(thing));
  }

  ofThing(thingName: string): readonly ThingGroup[] {
    const text = `SELECT ${GROUP} FROM group_members m CROSS JOIN thing_groups g
      WHERE m.tenant = $1 AND m.thing = $2 AND g.tenant = $1 AND g.name = m.group_name ORDER BY g.name`;
    return this.#sql.rows(text, [thingName]).map(groupOf);
  }

  namesOf(things: readonly string[]): ReadonlyMap<string, readonly string[]> {
    const names = new Map<string, string[]>();
    for (const some of inPieces(things)) {
      const text = `SELECT thing, group_name FROM group_members WHERE tenant = $1
        AND thing IN (${some.map((_, index) => `$${index + 2}`).join(", ")}) ORDER BY group_name`;
      for (const [thing, group] of this.#sql.rows(text, some)) {
        const known = names.get(String(thing));
        if (known === undefined) names.set(String(thing), [String(group)]);
        else known.push(String(group));
      }
    }
    return names;
  }

  principalsBelow(groupName: string, limit: number): readonly string[] {
    const members = `p.tenant = $1 AND p.ancestor = $2 AND m.tenant = $1 AND m.group_name = p.name`;
    const text = `SELECT a.certificate FROM group_paths p CROSS JOIN group_members m CROSS JOIN thing_principals a
        WHERE ${members} AND a.tenant = $1 AND a.thing = m.thing
      UNION
      SELECT 'password/' || d.thing FROM group_paths p CROSS JOIN group_members m CROSS JOIN device_passwords d
        WHERE ${members} AND d.tenant = $1 AND d.thing = m.thing
      LIMIT $3`;
    return this.#sql.rows(text, [groupName, limit]).map(([id]) => String(id));
  }
}

function* inPieces(things: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < things.length;) {
    const size = MEMBERS_AT_ONCE.find((one) => one <= things.length - at) ?? 1;
    yield things.slice(at, at + size);
    at += size;
  }
}

function touchedPrincipal(key: string): Touched {
  const thing = /^password\/(.*)$/.exec(key)?.[1];
  return thing === undefined ? ["certificate", key, "updated"] : ["password", thing, "updated"];
}

function touchedBy(groupName: string, things: readonly string[]): readonly Touched[] {
  return [["group", groupName, "updated"], ...things.map((thing) => ["thing", thing, "updated"] as const)];
}

function groupOf(row: Row): ThingGroup {
  const [name, id, parent, description, attributes, version, createdAt, updatedAt, query, index, queryVersion, status] =
    row;
  return {
    thingGroupName: String(name),
    thingGroupId: String(id),
    parentGroupName: textOrNull(parent),
    description: textOrNull(description),
    attributes: JSON.parse(String(attributes)) as Record<string, string>,
    version: Number(version),
    query:
      textOrNull(query) === null
        ? null
        : {
            queryString: String(query),
            indexName: String(index),
            queryVersion: String(queryVersion),
            status: String(status) as GroupQuery["status"],
          },
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}
