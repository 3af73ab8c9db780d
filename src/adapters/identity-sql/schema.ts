/**
 * The registry's tables, the same in SQLite and PostgreSQL. The tenant is the first column of every key. Names sort by their
 * bytes. A `target` and a tag's `resource` are the last part of an ARN: `cert/…`, `thinggroup/…`.
 */

/** A table that holds a tenant's rows. */
export interface Table {
  readonly name: string;
  readonly key: readonly string[];
  readonly others: readonly string[];
}

const CERTIFICATE = words(
  "pem status serial subject issuer not_before not_after created_at updated_at mode version generation",
);

/** In an order in which they can be filled. */
export const TABLES: readonly Table[] = [
  table("thing_types", "name", "id description searchable deprecated_at created_at updated_at"),
  table("things", "name", "id type billing_group attributes version created_at updated_at searchable"),
  table("thing_attributes", "name value thing", ""),
  table(
    "thing_groups",
    "name",
    "id parent description attributes version created_at updated_at query query_index query_version status",
  ),
  table("group_paths", "name ancestor", "height"),
  table("group_members", "group_name thing", ""),
  { name: "certificates", key: ["id"], others: [...CERTIFICATE, "authority"] },
  { name: "authorities", key: ["id"], others: [...CERTIFICATE, "auto_registration", "registration"] },
  table("policies", "name", "version last_version created_at updated_at"),
  table("policy_versions", "policy version", "document created_at"),
  table("policy_targets", "policy target", ""),
  table("thing_principals", "thing certificate", "exclusive"),
  table("tags", "resource key", "value"),
  table("registry_values", "name", "value"),
  table("device_passwords", "thing", "hash version created_at updated_at used_at"),
];

export function table(name: string, key: string, others: string): Table {
  return { name, key: words(key), others: words(others) };
}

function words(text: string): readonly string[] {
  return text.split(" ").filter((word) => word !== "");
}

const REGISTRY = `
  CREATE TABLE thing_types (
    tenant TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, description TEXT, searchable TEXT NOT NULL,
    deprecated_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE things (
    tenant TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, type TEXT, billing_group TEXT, attributes TEXT NOT NULL,
    version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, searchable TEXT NOT NULL,
    PRIMARY KEY (tenant, name),
    FOREIGN KEY (tenant, type) REFERENCES thing_types (tenant, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX things_by_type ON things (tenant, type, name);
  CREATE TABLE thing_attributes (
    tenant TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, thing TEXT NOT NULL,
    PRIMARY KEY (tenant, name, value, thing),
    FOREIGN KEY (tenant, thing) REFERENCES things (tenant, name) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX thing_attributes_by_thing ON thing_attributes (tenant, thing);
  CREATE TABLE thing_groups (
    tenant TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, description TEXT, attributes TEXT NOT NULL,
    version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    query TEXT, query_index TEXT, query_version TEXT, status TEXT,
    PRIMARY KEY (tenant, name),
    FOREIGN KEY (tenant, parent) REFERENCES thing_groups (tenant, name) DEFERRABLE INITIALLY DEFERRED
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX thing_groups_by_parent ON thing_groups (tenant, parent, name);
  CREATE TABLE group_paths (
    tenant TEXT NOT NULL, name TEXT NOT NULL, ancestor TEXT NOT NULL, height INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, ancestor),
    FOREIGN KEY (tenant, name) REFERENCES thing_groups (tenant, name) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX group_paths_by_ancestor ON group_paths (tenant, ancestor, name);
  CREATE TABLE group_members (
    tenant TEXT NOT NULL, group_name TEXT NOT NULL, thing TEXT NOT NULL,
    PRIMARY KEY (tenant, group_name, thing),
    FOREIGN KEY (tenant, group_name) REFERENCES thing_groups (tenant, name) ON DELETE CASCADE,
    FOREIGN KEY (tenant, thing) REFERENCES things (tenant, name) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX group_members_by_thing ON group_members (tenant, thing, group_name);
  CREATE TABLE certificates (
    tenant TEXT NOT NULL, id TEXT NOT NULL, pem TEXT NOT NULL, status TEXT NOT NULL, serial TEXT NOT NULL,
    subject TEXT NOT NULL, issuer TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    authority TEXT, mode TEXT NOT NULL, version INTEGER NOT NULL, generation TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX certificates_by_creation ON certificates (tenant, created_at, id);
  CREATE INDEX certificates_by_authority ON certificates (tenant, authority, created_at, id);
  CREATE TABLE authorities (
    tenant TEXT NOT NULL, id TEXT NOT NULL, pem TEXT NOT NULL, status TEXT NOT NULL, serial TEXT NOT NULL,
    subject TEXT NOT NULL, issuer TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    mode TEXT NOT NULL, version INTEGER NOT NULL, generation TEXT NOT NULL,
    auto_registration INTEGER NOT NULL, registration TEXT,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX authorities_by_creation ON authorities (tenant, created_at, id);
  CREATE TABLE policies (
    tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, last_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE policy_versions (
    tenant TEXT NOT NULL, policy TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, policy, version),
    FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE policy_targets (
    tenant TEXT NOT NULL, policy TEXT NOT NULL, target TEXT NOT NULL,
    PRIMARY KEY (tenant, policy, target),
    FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX policy_targets_by_target ON policy_targets (tenant, target, policy);
  CREATE TABLE thing_principals (
    tenant TEXT NOT NULL, thing TEXT NOT NULL, certificate TEXT NOT NULL, exclusive INTEGER NOT NULL,
    PRIMARY KEY (tenant, thing, certificate),
    FOREIGN KEY (tenant, thing) REFERENCES things (tenant, name) ON DELETE CASCADE,
    FOREIGN KEY (tenant, certificate) REFERENCES certificates (tenant, id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX thing_principals_by_certificate ON thing_principals (tenant, certificate, thing);
  CREATE TABLE tags (
    tenant TEXT NOT NULL, resource TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, resource, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE registry_values (
    tenant TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
  ) STRICT, WITHOUT ROWID;
`;

export const SQLITE_REGISTRY = REGISTRY;

/** Added after the tables above. */
const DEVICE_PASSWORDS = `
  CREATE TABLE device_passwords (
    tenant TEXT NOT NULL, thing TEXT NOT NULL, hash TEXT NOT NULL, version INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, thing),
    FOREIGN KEY (tenant, thing) REFERENCES things (tenant, name) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
`;

export const SQLITE_DEVICE_PASSWORDS = `${DEVICE_PASSWORDS}
  INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('device_passwords', 'device_passwords', '100000 100000 1');
  ANALYZE sqlite_schema;`;

/** When it was last right, as far as that was kept. */
const PASSWORD_USES = "ALTER TABLE device_passwords ADD COLUMN used_at INTEGER;";
export const SQLITE_PASSWORD_USES = PASSWORD_USES;
export const POSTGRES_PASSWORD_USES = forPostgres(PASSWORD_USES);

/**
 * For SQLite's planner, which knows nothing about a new file and takes the tenant, which all rows share, for a narrow choice:
 * rows of a table with a million things, then how many of them agree in the first, the first two … columns of each index.
 */
const ROWS_THAT_AGREE: readonly (readonly [table: string, index: string, rows: string])[] = [
  ["thing_types", "thing_types", "100 100 1"],
  ["things", "things", "1000000 1000000 1"],
  ["things", "things_by_type", "1000000 1000000 10000 1"],
  ["thing_attributes", "thing_attributes", "3000000 3000000 300000 1000 1"],
  ["thing_attributes", "thing_attributes_by_thing", "3000000 3000000 3"],
  ["thing_groups", "thing_groups", "1000 1000 1"],
  ["thing_groups", "thing_groups_by_parent", "1000 1000 10 1"],
  ["group_paths", "group_paths", "3000 3000 3 1"],
  ["group_paths", "group_paths_by_ancestor", "3000 3000 3 1"],
  ["group_members", "group_members", "2000000 2000000 2000 1"],
  ["group_members", "group_members_by_thing", "2000000 2000000 2 1"],
  ["certificates", "certificates", "1000000 1000000 1"],
  ["certificates", "certificates_by_creation", "1000000 1000000 10 1"],
  ["certificates", "certificates_by_authority", "1000000 1000000 100000 10 1"],
  ["authorities", "authorities", "10 10 1"],
  ["policies", "policies", "100 100 1"],
  ["policy_versions", "policy_versions", "300 300 3 1"],
  ["policy_targets", "policy_targets", "1000000 1000000 10000 1"],
  ["policy_targets", "policy_targets_by_target", "1000000 1000000 1 1"],
  ["thing_principals", "thing_principals", "1000000 1000000 1 1"],
  ["thing_principals", "thing_principals_by_certificate", "1000000 1000000 1 1"],
  ["tags", "tags", "1000 1000 3 1"],
];

export const SQLITE_STATISTICS = `
  ANALYZE;
  DELETE FROM sqlite_stat1;
  INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ${ROWS_THAT_AGREE.map((row) => `('${row.join("', '")}')`).join(",\n    ")};
  ANALYZE sqlite_schema;`;

export const POSTGRES_REGISTRY = forPostgres(REGISTRY);
export const POSTGRES_DEVICE_PASSWORDS = forPostgres(DEVICE_PASSWORDS);

export function forPostgres(tables: string): string {
  return tables
    .replaceAll(") STRICT, WITHOUT ROWID", ")")
    .replaceAll(/\bTEXT\b/g, 'text COLLATE "C"')
    .replaceAll(/\bINTEGER\b/g, "bigint");
}

const INDEXES_BEFORE = [
  "things_by_type",
  "things_by_attribute",
  "certificates_by_creation",
  "thing_principals_by_certificate",
  "policy_targets_by_certificate",
];

/** What the two databases wrote in different ways before they had the same tables. */
export interface FormatBefore {
  /** Of `things_before`. */
  readonly attributes: string;
  /** Rows (name, value, thing) from `things_before`. */
  readonly eachAttribute: string;
  /** Of `thing_principals_before`. */
  readonly exclusive: string;
}

/** From the format before tenants to `tables`; what was there belongs to the first tenant. Children go before parents. */
export function withTenants(tables: string, { attributes, eachAttribute, exclusive }: FormatBefore): string {
  const before = ["thing_principals", "policy_targets", "things", "certificates", "policies"];
  return `
  ${INDEXES_BEFORE.map((name) => `DROP INDEX IF EXISTS ${name};`).join(" ")}
  ${before.map((table) => `ALTER TABLE ${table} RENAME TO ${table}_before;`).join("\n  ")}
  ${tables}
  INSERT INTO thing_types
    SELECT 'default', type, min(id), NULL, '[]', NULL, min(created_at), min(created_at) FROM things_before
    WHERE type IS NOT NULL GROUP BY type;
  INSERT INTO things
    SELECT 'default', name, id, type, NULL, ${attributes}, version, created_at, updated_at, searchable FROM things_before;
  INSERT INTO thing_attributes SELECT 'default', name, value, thing FROM (${eachAttribute}) AS each_attribute;
  INSERT INTO certificates
    SELECT 'default', id, pem, status, serial, subject, issuer, not_before, not_after, created_at, updated_at,
      NULL, 'DEFAULT', 1, id FROM certificates_before;
  INSERT INTO policies SELECT 'default', name, version, version, created_at, updated_at FROM policies_before;
  INSERT INTO policy_versions SELECT 'default', name, version, document, updated_at FROM policies_before;
  INSERT INTO policy_targets SELECT 'default', policy, 'cert/' || certificate FROM policy_targets_before;
  INSERT INTO thing_principals SELECT 'default', thing, certificate, ${exclusive} FROM thing_principals_before;
  ${before.map((table) => `DROP TABLE ${table}_before;`).join(" ")}
`;
}
