/** Policies, their versions, and what they are attached to. */
import type { Policy, PolicyStore, PolicyVersion, Slice } from "../../registry/mod.ts";
import type { Row, Sql, Touched } from "./sql.ts";

const POLICY = "p.name, v.document, p.version, p.created_at, p.updated_at";
const DEFAULT_VERSION = "v.tenant = $1 AND v.policy = p.name AND v.version = p.version";

export class PolicyTable implements PolicyStore {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  find(policyName: string): Policy | undefined {
    const text = `SELECT ${POLICY} FROM policies p CROSS JOIN policy_versions v
      WHERE p.tenant = $1 AND p.name = $2 AND ${DEFAULT_VERSION}`;
    return this.#sql.rows(text, [policyName]).map(policyOf)[0];
  }

  addVersion(policyName: string, document: string, at: number): number {
    const [row] = this.#sql.change(
      `INSERT INTO policies VALUES ($1, $2, 1, 1, $3, $3)
       ON CONFLICT (tenant, name) DO UPDATE SET last_version = policies.last_version + 1 RETURNING last_version`,
      [policyName, at],
      [["policy", policyName, "updated"]],
    );
    const version = Number(row?.[0]);
    this.#sql.change("INSERT INTO policy_versions VALUES ($1, $2, $3, $4, $5)", [policyName, version, document, at]);
    return version;
  }

  setDefault(policyName: string, version: number, at: number): void {
    this.#sql.change(
      "UPDATE policies SET version = $3, updated_at = $4 WHERE tenant = $1 AND name = $2",
      [policyName, version, at],
      [["policy", policyName, "updated"]],
    );
  }

  removeVersion(policyName: string, version: number): void {
    this.#sql.change(
      "DELETE FROM policy_versions WHERE tenant = $1 AND policy = $2 AND version = $3",
      [policyName, version],
      [["policy", policyName, "updated"]],
    );
  }

  versions(policyName: string): readonly PolicyVersion[] {
    const text = `SELECT v.policy, v.version, v.document, v.version = p.version, v.created_at
      FROM policies p CROSS JOIN policy_versions v
      WHERE p.tenant = $1 AND p.name = $2 AND v.tenant = $1 AND v.policy = p.name ORDER BY v.version`;
    return this.#sql.rows(text, [policyName]).map(([policy, version, document, isDefault, createdAt]) => ({
      policyName: String(policy),
      version: Number(version),
      document: String(document),
      isDefault: Number(isDefault) === 1,
      createdAt: Number(createdAt),
    }));
  }

  remove(policyName: string): void {
    this.#sql.change(
      "DELETE FROM policies WHERE tenant = $1 AND name = $2",
      [policyName],
      [["policy", policyName, "deleted"]],
    );
  }

  list(slice: Slice<string>): readonly Policy[] {
    const text = `SELECT ${POLICY} FROM policies p CROSS JOIN policy_versions v
      WHERE p.tenant = $1 AND p.name > $2 AND ${DEFAULT_VERSION} ORDER BY p.name LIMIT $3`;
    return this.#sql.rows(text, [slice.after ?? "", slice.limit]).map(policyOf);
  }

  attach(policyName: string, target: string): void {
    const text = "INSERT INTO policy_targets VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    this.#sql.change(text, [policyName, target], touchedBy(target));
  }

  detach(policyName: string, target: string): boolean {
    const text = "DELETE FROM policy_targets WHERE tenant = $1 AND policy = $2 AND target = $3 RETURNING 1";
    return this.#sql.change(text, [policyName, target], touchedBy(target)).length > 0;
  }

  attachedTo(target: string): readonly Policy[] {
    const text = `SELECT ${POLICY} FROM policy_targets t CROSS JOIN policies p CROSS JOIN policy_versions v
      WHERE t.tenant = $1 AND t.target = $2 AND p.tenant = $1 AND p.name = t.policy AND ${DEFAULT_VERSION}
      ORDER BY p.name`;
    return this.#sql.rows(text, [target]).map(policyOf);
  }

  targets(policyName: string, slice: Slice<string>): readonly string[] {
    const text = `SELECT target FROM policy_targets WHERE tenant = $1 AND policy = $2 AND target > $3
      ORDER BY target LIMIT $4`;
    return this.#sql.rows(text, [policyName, slice.after ?? "", slice.limit]).map(([target]) => String(target));
  }

  applyingTo(certificateId: string): readonly Policy[] {
    const text = `SELECT ${POLICY} FROM (
        SELECT policy FROM policy_targets WHERE tenant = $1 AND target = $2
        UNION
        SELECT t.policy
          FROM thing_principals a CROSS JOIN group_members m CROSS JOIN group_paths g CROSS JOIN policy_targets t
          WHERE a.tenant = $1 AND a.certificate = $3 AND m.tenant = $1 AND m.thing = a.thing
            AND g.tenant = $1 AND g.name = m.group_name AND t.tenant = $1 AND t.target = 'thinggroup/' || g.ancestor
      ) found CROSS JOIN policies p CROSS JOIN policy_versions v
      WHERE p.tenant = $1 AND p.name = found.policy AND ${DEFAULT_VERSION} ORDER BY p.name`;
    return this.#sql.rows(text, [`cert/${certificateId}`, certificateId]).map(policyOf);
  }

  ofThing(thingName: string): readonly Policy[] {
    const text = `SELECT ${POLICY} FROM (
        SELECT DISTINCT t.policy
          FROM group_members m CROSS JOIN group_paths g CROSS JOIN policy_targets t
          WHERE m.tenant = $1 AND m.thing = $2
            AND g.tenant = $1 AND g.name = m.group_name AND t.tenant = $1 AND t.target = 'thinggroup/' || g.ancestor
      ) found CROSS JOIN policies p CROSS JOIN policy_versions v
      WHERE p.tenant = $1 AND p.name = found.policy AND ${DEFAULT_VERSION} ORDER BY p.name`;
    return this.#sql.rows(text, [thingName]).map(policyOf);
  }

  principalsWith(policyName: string, limit: number): readonly string[] {
    const below = `policy_targets t CROSS JOIN group_paths g CROSS JOIN group_members m`;
    const joined = `t.tenant = $1 AND t.policy = $2 AND t.target >= 'thinggroup/' AND t.target < 'thinggroup0'
          AND g.tenant = $1 AND g.ancestor = substr(t.target, 12) AND m.tenant = $1 AND m.group_name = g.name`;
    const text = `SELECT substr(target, 6) FROM policy_targets
        WHERE tenant = $1 AND policy = $2 AND target >= 'cert/' AND target < 'cert0'
      UNION
      SELECT a.certificate FROM ${below} CROSS JOIN thing_principals a
        WHERE ${joined} AND a.tenant = $1 AND a.thing = m.thing
      UNION
      SELECT target FROM policy_targets
        WHERE tenant = $1 AND policy = $2 AND target >= 'password/' AND target < 'password0'
      UNION
      SELECT 'password/' || d.thing FROM ${below} CROSS JOIN device_passwords d
        WHERE ${joined} AND d.tenant = $1 AND d.thing = m.thing
      LIMIT $3`;
    return this.#sql.rows(text, [policyName, limit]).map(([id]) => String(id));
  }
}

function touchedBy(target: string): readonly Touched[] {
  const [kind = "", id = ""] = target.split("/", 2);
  const record = kind === "cert" ? "certificate" : kind === "password" ? "password" : "group";
  return [[record, id, "updated"]];
}

function policyOf([name, document, version, createdAt, updatedAt]: Row): Policy {
  return {
    policyName: String(name),
    document: String(document),
    version: Number(version),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}
