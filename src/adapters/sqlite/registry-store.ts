/** The registry and presence in `registry.db`. Plain prepared statements; every registry commit is on disk. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { Logger } from "../../base/mod.ts";
import type {
  Attachment,
  Certificate,
  CertificateRecord,
  CertificateStatus,
  DistinguishedName,
  Policy,
  PresenceStore,
  RegistryStore,
  SavedPresence,
  Slice,
  Thing,
  ThingFilter,
} from "../../registry/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS = [
  `CREATE TABLE things (
     name TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT, attributes TEXT NOT NULL,
     version INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, searchable TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE thing_attributes (
     name TEXT NOT NULL, value TEXT NOT NULL, thing TEXT NOT NULL REFERENCES things (name) ON DELETE CASCADE,
     PRIMARY KEY (name, value, thing)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX thing_attributes_by_thing ON thing_attributes (thing);
   CREATE INDEX things_by_type ON things (type, name);
   CREATE TABLE certificates (
     id TEXT PRIMARY KEY, pem TEXT NOT NULL, status TEXT NOT NULL, serial TEXT NOT NULL,
     subject TEXT NOT NULL, issuer TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
     created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX certificates_by_creation ON certificates (created_at, id);
   CREATE TABLE policies (
     name TEXT PRIMARY KEY, document TEXT NOT NULL, version INTEGER NOT NULL,
     created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE thing_principals (
     thing TEXT NOT NULL REFERENCES things (name) ON DELETE CASCADE,
     certificate TEXT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
     exclusive INTEGER NOT NULL,
     PRIMARY KEY (thing, certificate)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX thing_principals_by_certificate ON thing_principals (certificate, thing);
   CREATE TABLE policy_targets (
     policy TEXT NOT NULL REFERENCES policies (name) ON DELETE RESTRICT,
     certificate TEXT NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
     PRIMARY KEY (policy, certificate)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX policy_targets_by_certificate ON policy_targets (certificate, policy);
   CREATE TABLE presence (
     thing TEXT PRIMARY KEY, online INTEGER NOT NULL, last_seen_at INTEGER NOT NULL,
     reason TEXT, address TEXT
   ) STRICT, WITHOUT ROWID;`,
];

export interface OpenRegistry {
  readonly store: RegistryStore;
  readonly presence: PresenceStore;
  close(): void;
}

/** Throws DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER. */
export function openRegistry(path: string, logger?: Logger): OpenRegistry {
  const file = { path, name: "registry", migrations: MIGRATIONS, ...(logger === undefined ? {} : { logger }) };
  const database = openDatabase({ ...file, durability: "full" });
  // Presence has its own connection: it may lose its last changes, so it need not wait for the disk in the broker's thread.
  const presence = openDatabase({ ...file, durability: "normal", beside: database });
  return {
    store: new SqliteRegistryStore(database),
    presence: new SqlitePresenceStore(presence),
    close: () => {
      closeDatabase(presence);
      closeDatabase(database);
    },
  };
}

type Row = Readonly<Record<string, string | number | null>>;

class SqliteRegistryStore implements RegistryStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  transaction<T>(work: () => T): T {
    return transaction(this.#database, work);
  }

  thing(thingName: string): Thing | undefined {
    return this.#one("SELECT * FROM things WHERE name = ?", [thingName], thingOf);
  }

  saveThing(thing: Thing): void {
    const { thingName, thingId, thingTypeName, attributes, version, createdAt, updatedAt } = thing;
    this.#run(
      `INSERT INTO things VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET id = excluded.id,
       type = excluded.type, attributes = excluded.attributes, version = excluded.version,
       created_at = excluded.created_at, updated_at = excluded.updated_at, searchable = excluded.searchable`,
      [thingName, thingId, thingTypeName, JSON.stringify(attributes), version, createdAt, updatedAt, searchable(thing)],
    );
    this.#run("DELETE FROM thing_attributes WHERE thing = ?", [thingName]);
    for (const [name, value] of Object.entries(attributes)) {
      this.#run("INSERT INTO thing_attributes VALUES (?, ?, ?)", [name, value, thingName]);
    }
  }

  removeThing(thingName: string): void {
    this.#run("DELETE FROM things WHERE name = ?", [thingName]);
  }

  things(filter: ThingFilter, slice: Slice<string>): readonly Thing[] {
    const { where, values } = conditionsOf(filter);
    const sql = `SELECT * FROM things WHERE name > ? ${where} ORDER BY name LIMIT ?`;
    return this.#all(sql, [slice.after ?? "", ...values, slice.limit], thingOf);
  }

  countThings(filter: ThingFilter): number {
    const { where, values } = conditionsOf(filter);
    return this.#one(`SELECT count(*) AS n FROM things WHERE true ${where}`, values, (row) => Number(row["n"])) ?? 0;
  }

  certificate(certificateId: string): Certificate | undefined {
    return this.#one("SELECT * FROM certificates WHERE id = ?", [certificateId], (row) => ({
      ...certificateOf(row),
      pem: String(row["pem"]),
    }));
  }

  saveCertificate(certificate: Certificate): void {
    this.#run(
      `INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
      [
        certificate.certificateId,
        certificate.pem,
        certificate.status,
        certificate.serialNumber,
        JSON.stringify(certificate.subject),
        JSON.stringify(certificate.issuer),
        certificate.notBefore,
        certificate.notAfter,
        certificate.createdAt,
        certificate.updatedAt,
      ],
    );
  }

  removeCertificate(certificateId: string): void {
    this.#run("DELETE FROM certificates WHERE id = ?", [certificateId]);
  }

  certificates(slice: Slice<{ readonly createdAt: number; readonly id: string }>): readonly CertificateRecord[] {
    const columns = "id, status, serial, subject, issuer, not_before, not_after, created_at, updated_at";
    const { createdAt, id } = slice.after ?? { createdAt: slice.descending ? Number.MAX_SAFE_INTEGER : -1, id: "" };
    const [beyond, order] = slice.descending ? ["<", "DESC"] : [">", "ASC"];
    return this.#all(
      `SELECT ${columns} FROM certificates WHERE (created_at, id) ${beyond} (?, ?)
       ORDER BY created_at ${order}, id ${order} LIMIT ?`,
      [createdAt, id, slice.limit],
      certificateOf,
    );
  }

  policy(policyName: string): Policy | undefined {
    return this.#one("SELECT * FROM policies WHERE name = ?", [policyName], policyOf);
  }

  savePolicy(policy: Policy): void {
    this.#run(
      `INSERT INTO policies VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
       document = excluded.document, version = excluded.version, updated_at = excluded.updated_at`,
      [policy.policyName, policy.document, policy.version, policy.createdAt, policy.updatedAt],
    );
  }

  removePolicy(policyName: string): void {
    this.#run("DELETE FROM policies WHERE name = ?", [policyName]);
  }

  policies(slice: Slice<string>): readonly Policy[] {
    const sql = "SELECT * FROM policies WHERE name > ? ORDER BY name LIMIT ?";
    return this.#all(sql, [slice.after ?? "", slice.limit], policyOf);
  }

  attachThing({ thingName, certificateId, type }: Attachment): void {
    this.#run("INSERT OR REPLACE INTO thing_principals VALUES (?, ?, ?)", [
      thingName,
      certificateId,
      type === "EXCLUSIVE_THING" ? 1 : 0,
    ]);
  }

  detachThing(thingName: string, certificateId: string): boolean {
    return (
      this.#run("DELETE FROM thing_principals WHERE thing = ? AND certificate = ?", [thingName, certificateId]) > 0
    );
  }

  thingsOf(certificateId: string): readonly Attachment[] {
    const sql = "SELECT * FROM thing_principals WHERE certificate = ? ORDER BY thing";
    return this.#all(sql, [certificateId], attachmentOf);
  }

  certificatesOf(thingName: string): readonly Attachment[] {
    const sql = "SELECT * FROM thing_principals WHERE thing = ? ORDER BY certificate";
    return this.#all(sql, [thingName], attachmentOf);
  }

  attachPolicy(policyName: string, certificateId: string): void {
    this.#run("INSERT OR IGNORE INTO policy_targets VALUES (?, ?)", [policyName, certificateId]);
  }

  detachPolicy(policyName: string, certificateId: string): boolean {
    return (
      this.#run("DELETE FROM policy_targets WHERE policy = ? AND certificate = ?", [policyName, certificateId]) > 0
    );
  }

  policiesOf(certificateId: string): readonly Policy[] {
    return this.#all(
      `SELECT policies.* FROM policy_targets JOIN policies ON policies.name = policy_targets.policy
       WHERE certificate = ? ORDER BY name`,
      [certificateId],
      policyOf,
    );
  }

  targetsOf(policyName: string, slice: Slice<string>): readonly string[] {
    return this.#all(
      "SELECT certificate FROM policy_targets WHERE policy = ? AND certificate > ? ORDER BY certificate LIMIT ?",
      [policyName, slice.after ?? "", slice.limit],
      (row) => String(row["certificate"]),
    );
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  #run(sql: string, values: readonly SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  #one<T>(sql: string, values: readonly SQLInputValue[], read: (row: Row) => T): T | undefined {
    const row = this.#prepare(sql).get(...values) as Row | undefined;
    return row === undefined ? undefined : read(row);
  }

  #all<T>(sql: string, values: readonly SQLInputValue[], read: (row: Row) => T): T[] {
    return (this.#prepare(sql).all(...values) as Row[]).map((row) => read(row));
  }
}

/** What a search looks at, in one text: one comparison per thing instead of one per attribute. */
function searchable({ thingName, thingTypeName, attributes }: Thing): string {
  return [thingName, thingTypeName ?? "", ...Object.values(attributes)].join("\n").toLowerCase();
}

/** The texts of the conditions are few, so the prepared statements are too. */
function conditionsOf(filter: ThingFilter): { readonly where: string; readonly values: readonly SQLInputValue[] } {
  let where = "";
  const values: SQLInputValue[] = [];
  if (filter.thingTypeName !== undefined) {
    where += " AND type = ?";
    values.push(filter.thingTypeName);
  }
  if (filter.attributeName !== undefined) {
    where += " AND name IN (SELECT thing FROM thing_attributes AS a WHERE a.name = ?";
    values.push(filter.attributeName);
    if (filter.attributeValue !== undefined) {
      // The greatest code point ends the range of texts with this prefix.
      where += filter.prefix === true ? " AND a.value >= ? AND a.value < ? || char(1114111)" : " AND a.value = ?";
      values.push(
        ...(filter.prefix === true ? [filter.attributeValue, filter.attributeValue] : [filter.attributeValue]),
      );
    }
    where += ")";
  }
  if (filter.search !== undefined && filter.search !== "") {
    where += " AND instr(searchable, ?)";
    values.push(filter.search.toLowerCase());
  }
  return { where, values };
}

function thingOf(row: Row): Thing {
  return {
    thingName: String(row["name"]),
    thingId: String(row["id"]),
    thingTypeName: textOrNull(row["type"]),
    attributes: JSON.parse(String(row["attributes"])) as Record<string, string>,
    version: Number(row["version"]),
    createdAt: Number(row["created_at"]),
    updatedAt: Number(row["updated_at"]),
  };
}

function certificateOf(row: Row): CertificateRecord {
  return {
    certificateId: String(row["id"]),
    status: String(row["status"]) as CertificateStatus,
    serialNumber: String(row["serial"]),
    subject: JSON.parse(String(row["subject"])) as DistinguishedName,
    issuer: JSON.parse(String(row["issuer"])) as DistinguishedName,
    notBefore: Number(row["not_before"]),
    notAfter: Number(row["not_after"]),
    createdAt: Number(row["created_at"]),
    updatedAt: Number(row["updated_at"]),
  };
}

function policyOf(row: Row): Policy {
  return {
    policyName: String(row["name"]),
    document: String(row["document"]),
    version: Number(row["version"]),
    createdAt: Number(row["created_at"]),
    updatedAt: Number(row["updated_at"]),
  };
}

function attachmentOf(row: Row): Attachment {
  return {
    thingName: String(row["thing"]),
    certificateId: String(row["certificate"]),
    type: row["exclusive"] === 1 ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING",
  };
}

function textOrNull(value: string | number | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

class SqlitePresenceStore implements PresenceStore {
  readonly #database: DatabaseSync;
  readonly #save: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#save = database.prepare("INSERT OR REPLACE INTO presence VALUES (?, ?, ?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM presence WHERE thing = ?");
  }

  load(): readonly SavedPresence[] {
    return (this.#database.prepare("SELECT * FROM presence").all() as Row[]).map((row) => ({
      thing: String(row["thing"]),
      online: row["online"] === 1,
      lastSeenAt: Number(row["last_seen_at"]),
      disconnectReason: textOrNull(row["reason"]),
      remoteAddress: textOrNull(row["address"]),
    }));
  }

  save(entries: readonly SavedPresence[]): void {
    transaction(this.#database, () => {
      for (const { thing, online, lastSeenAt, disconnectReason, remoteAddress } of entries) {
        this.#save.run(thing, online ? 1 : 0, lastSeenAt, disconnectReason, remoteAddress);
      }
    });
  }

  remove(thing: string): void {
    this.#remove.run(thing);
  }
}
