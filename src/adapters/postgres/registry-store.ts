/**
 * The registry in PostgreSQL; several platforms may share it. Every transaction counts the revision up, which makes writers
 * take turns, and tells the others what it touched when it commits. Why it may wait: docs/decisions/0006-registry-on-postgresql.md.
 */
import { isTidewireError } from "../../base/mod.ts";
import type { Cancel, Logger } from "../../base/mod.ts";
import type {
  Attachment,
  Certificate,
  CertificateRecord,
  CertificateStatus,
  DistinguishedName,
  ForeignChanges,
  OtherWriters,
  Policy,
  RegistryStore,
  Slice,
  Thing,
  ThingFilter,
} from "../../registry/mod.ts";
import { RegistryLink } from "./registry-link.ts";
import { channelOf } from "./registry-schema.ts";
import type { PostgresServerAddress } from "./server-url.ts";
import type { Row, Value } from "./session.ts";

const SCHEMA = "tidewire_registry";
/** PostgreSQL takes 8,000 bytes. */
const PAYLOAD_MAX = 7_000;

/** What a transaction tells the others; names and ids are ASCII. */
interface Payload {
  readonly revision: number;
  /** Null: too much to tell. */
  readonly touched: ForeignChanges | null;
}

export class PostgresRegistryStore implements RegistryStore, OtherWriters {
  readonly #schema: string;
  #link!: RegistryLink;
  /** What this platform knows of: its own commits, and those that it heard of. */
  #revision = -1;
  /** Heard and not taken yet; null: something was missed. Bounded by `NEWS_MAX`. */
  #news: ForeignChanges[] | null = [];
  #listener: (() => void) | null = null;
  #telling = false;
  /** Somebody's rights could not be looked up. */
  #owed = false;
  /** Of the transaction that runs now. */
  #transaction: { readonly connection: number; readonly touched: Touched } | null = null;

  private constructor(schema: string) {
    this.#schema = schema;
  }

  static async open(address: PostgresServerAddress, logger: Logger): Promise<PostgresRegistryStore> {
    const store = new PostgresRegistryStore(address.schema ?? SCHEMA);
    store.#link = await RegistryLink.open(address, store.#schema, logger, {
      news: (payload) => store.#hear(JSON.parse(payload) as Payload),
      up: (revision) => store.#back(revision),
    });
    return store;
  }

  /** Why it cannot be asked now; null where it can. */
  get away(): string | null {
    return this.#link.down;
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  // ── others ───────────────────────────────────────────────────────────────────────────────────

  get others(): OtherWriters {
    return this;
  }

  take(): readonly ForeignChanges[] | null {
    if (this.#transaction === null) this.#link.look();
    const news = this.#news;
    if (news === null || news.length > 0) this.#news = [];
    return news;
  }

  /** One round trip: what others committed before it, the server has handed over before it answers. */
  ask(): readonly ForeignChanges[] | null {
    if (this.#transaction === null) {
      const { rows } = this.#link.ask("SELECT revision FROM state", []);
      this.#link.look();
      this.#meet(Number(rows[0]?.[0]));
    }
    return this.take();
  }

  onNews(listener: () => void): Cancel {
    this.#listener = listener;
    return () => (this.#listener = null);
  }

  #hear({ revision, touched }: Payload): void {
    const next = revision === this.#revision + 1;
    this.#revision = Math.max(this.#revision, revision);
    if (touched === null || !next || this.#news === null || this.#news.length >= NEWS_MAX) this.#news = null;
    else this.#news.push(touched);
    this.#tellSoon();
  }

  /** The revision that is there now; another than ours means that changes were missed. */
  #meet(revision: number): void {
    if (revision === this.#revision) return;
    if (this.#revision >= 0) this.#news = null;
    this.#revision = revision;
    this.#tellSoon();
  }

  #back(revision: number): void {
    this.#meet(revision);
    if (this.#owed) this.#news = null;
    this.#owed = false;
    this.#tellSoon();
  }

  /** Not at once: it may be in the middle of a question. */
  #tellSoon(): void {
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      this.#listener?.();
    });
  }

  // ── transactions ─────────────────────────────────────────────────────────────────────────────

  transaction<T>(work: () => T): T {
    const { connection } = this.#link.ask("BEGIN", []);
    const touched = new Touched();
    this.#transaction = { connection, touched };
    try {
      // Waits for whoever writes now; from here on nobody else does.
      const [row] = this.#rows("UPDATE state SET revision = revision + 1 RETURNING revision", []);
      const revision = Number(row?.[0]);
      const result = work();
      if (!touched.any) {
        this.#rows("ROLLBACK", []);
        return result;
      }
      const payload = touched.payload(revision);
      this.#rows("SELECT pg_notify($1, $2)", [channelOf(this.#schema), payload]);
      this.#rows("COMMIT", []);
      this.#link.look();
      if (revision === this.#revision + 1) this.#revision = revision;
      else this.#meet(revision); // somebody committed before us, and we have not heard of it yet
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    } finally {
      this.#transaction = null;
    }
  }

  #rollBack(): void {
    try {
      this.#rows("ROLLBACK", []);
    } catch (error) {
      // Away: the server rolls back by itself, unless the COMMIT had arrived; the revision will tell.
      if (!isTidewireError(error)) throw error;
    }
  }

  #rows(text: string, values: readonly Value[]): readonly Row[] {
    return this.#link.ask(text, values, this.#transaction?.connection ?? null).rows;
  }

  #change(text: string, values: readonly Value[], touched: (into: Touched) => void): readonly Row[] {
    if (this.#transaction === null) return this.transaction(() => this.#change(text, values, touched));
    const rows = this.#rows(text, values);
    touched(this.#transaction.touched);
    return rows;
  }

  // ── things ───────────────────────────────────────────────────────────────────────────────────

  thing(thingName: string): Thing | undefined {
    return this.#rows(`SELECT ${THING} FROM things WHERE name = $1`, [thingName]).map(thingOf)[0];
  }

  saveThing(thing: Thing): void {
    const { thingName, thingId, thingTypeName, attributes, version, createdAt, updatedAt } = thing;
    const wellFormed = JSON.stringify(attributes).replaceAll(/\\ud[89a-f][0-9a-f]{2}/g, "\ufffd");
    this.#change(
      `INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET id = excluded.id,
       type = excluded.type, attributes = excluded.attributes, version = excluded.version,
       created_at = excluded.created_at, updated_at = excluded.updated_at, searchable = excluded.searchable`,
      [thingName, thingId, thingTypeName, wellFormed, version, createdAt, updatedAt, searchable(thing)],
      (touched) => touched.things.set(thingName, "updated"),
    );
  }

  removeThing(thingName: string): void {
    const attached = this.certificatesOf(thingName);
    this.#change("DELETE FROM things WHERE name = $1", [thingName], (touched) => {
      touched.things.set(thingName, "deleted");
      for (const { certificateId } of attached) touched.certificates.add(certificateId);
    });
  }

  things(filter: ThingFilter, slice: Slice<string>): readonly Thing[] {
    const { where, values } = conditionsOf(filter, [slice.after ?? "", slice.limit]);
    return this.#rows(`SELECT ${THING} FROM things WHERE name > $1 ${where} ORDER BY name LIMIT $2`, values).map(
      thingOf,
    );
  }

  countThings(filter: ThingFilter): number {
    const { where, values } = conditionsOf(filter, []);
    return Number(this.#rows(`SELECT count(*) FROM things WHERE true ${where}`, values)[0]?.[0] ?? 0);
  }

  // ── certificates ─────────────────────────────────────────────────────────────────────────────

  certificate(certificateId: string): Certificate | undefined {
    const [row] = this.#rightsOf(certificateId);
    return row === undefined ? undefined : { ...certificateOf(row), pem: String(row[9]) };
  }

  /** Whoever could not look somebody's rights up has to look again when it is back, whether anything was missed or not. */
  #rightsOf(certificateId: string): readonly Row[] {
    try {
      return this.#rows(`SELECT ${CERTIFICATE}, pem FROM certificates WHERE id = $1`, [certificateId]);
    } catch (error) {
      this.#owed = true;
      throw error;
    }
  }

  saveCertificate(certificate: Certificate): void {
    const { certificateId: id, status, serialNumber, notBefore, notAfter, createdAt, updatedAt, pem } = certificate;
    const [subject, issuer] = [JSON.stringify(certificate.subject), JSON.stringify(certificate.issuer)];
    this.#change(
      `INSERT INTO certificates (${CERTIFICATE}, pem) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
      [id, status, serialNumber, subject, issuer, notBefore, notAfter, createdAt, updatedAt, pem],
      (touched) => touched.certificates.add(id),
    );
  }

  removeCertificate(certificateId: string): void {
    this.#change("DELETE FROM certificates WHERE id = $1", [certificateId], (touched) =>
      touched.certificates.add(certificateId),
    );
  }

  certificates(slice: Slice<{ readonly createdAt: number; readonly id: string }>): readonly CertificateRecord[] {
    const { createdAt, id } = slice.after ?? { createdAt: slice.descending ? Number.MAX_SAFE_INTEGER : -1, id: "" };
    const [beyond, order] = slice.descending ? ["<", "DESC"] : [">", "ASC"];
    return this.#rows(
      `SELECT ${CERTIFICATE} FROM certificates WHERE (created_at, id) ${beyond} ($1, $2)
       ORDER BY created_at ${order}, id ${order} LIMIT $3`,
      [createdAt, id, slice.limit],
    ).map(certificateOf);
  }

  // ── policies ─────────────────────────────────────────────────────────────────────────────────

  policy(policyName: string): Policy | undefined {
    return this.#rows(`SELECT ${POLICY} FROM policies WHERE name = $1`, [policyName]).map(policyOf)[0];
  }

  savePolicy({ policyName, document, version, createdAt, updatedAt }: Policy): void {
    this.#change(
      `INSERT INTO policies VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET
       document = excluded.document, version = excluded.version, updated_at = excluded.updated_at`,
      [policyName, document, version, createdAt, updatedAt],
      (touched) => touched.policies.add(policyName),
    );
  }

  removePolicy(policyName: string): void {
    this.#change("DELETE FROM policies WHERE name = $1", [policyName], (touched) => touched.policies.add(policyName));
  }

  policies(slice: Slice<string>): readonly Policy[] {
    const text = `SELECT ${POLICY} FROM policies WHERE name > $1 ORDER BY name LIMIT $2`;
    return this.#rows(text, [slice.after ?? "", slice.limit]).map(policyOf);
  }

  // ── what belongs to what ─────────────────────────────────────────────────────────────────────

  attachThing({ thingName, certificateId, type }: Attachment): void {
    this.#change(
      `INSERT INTO thing_principals VALUES ($1, $2, $3)
       ON CONFLICT (thing, certificate) DO UPDATE SET exclusive = excluded.exclusive`,
      [thingName, certificateId, type === "EXCLUSIVE_THING"],
      (touched) => touched.certificates.add(certificateId),
    );
  }

  detachThing(thingName: string, certificateId: string): boolean {
    const text = "DELETE FROM thing_principals WHERE thing = $1 AND certificate = $2 RETURNING 1";
    const rows = this.#change(text, [thingName, certificateId], (touched) => touched.certificates.add(certificateId));
    return rows.length > 0;
  }

  thingsOf(certificateId: string): readonly Attachment[] {
    const text = `SELECT ${ATTACHMENT} FROM thing_principals WHERE certificate = $1 ORDER BY thing`;
    return this.#rows(text, [certificateId]).map(attachmentOf);
  }

  certificatesOf(thingName: string): readonly Attachment[] {
    const text = `SELECT ${ATTACHMENT} FROM thing_principals WHERE thing = $1 ORDER BY certificate`;
    return this.#rows(text, [thingName]).map(attachmentOf);
  }

  attachPolicy(policyName: string, certificateId: string): void {
    this.#change(
      "INSERT INTO policy_targets VALUES ($1, $2) ON CONFLICT DO NOTHING",
      [policyName, certificateId],
      (touched) => touched.certificates.add(certificateId),
    );
  }

  detachPolicy(policyName: string, certificateId: string): boolean {
    const text = "DELETE FROM policy_targets WHERE policy = $1 AND certificate = $2 RETURNING 1";
    const rows = this.#change(text, [policyName, certificateId], (touched) => touched.certificates.add(certificateId));
    return rows.length > 0;
  }

  policiesOf(certificateId: string): readonly Policy[] {
    return this.#rows(
      `SELECT ${POLICY} FROM policy_targets JOIN policies ON name = policy WHERE certificate = $1 ORDER BY name`,
      [certificateId],
    ).map(policyOf);
  }

  targetsOf(policyName: string, slice: Slice<string>): readonly string[] {
    const text =
      "SELECT certificate FROM policy_targets WHERE policy = $1 AND certificate > $2 ORDER BY certificate LIMIT $3";
    return this.#rows(text, [policyName, slice.after ?? "", slice.limit]).map(([id]) => String(id));
  }
}

/** Transactions of others that wait to be looked at; beyond, everything counts as changed. */
const NEWS_MAX = 1_000;

/** What one transaction changed. */
class Touched {
  readonly things = new Map<string, "updated" | "deleted">();
  readonly certificates = new Set<string>();
  readonly policies = new Set<string>();

  get any(): boolean {
    return this.things.size + this.certificates.size + this.policies.size > 0;
  }

  payload(revision: number): string {
    const touched: ForeignChanges = {
      things: [...this.things],
      certificates: [...this.certificates],
      policies: [...this.policies],
    };
    const text = JSON.stringify({ revision, touched } satisfies Payload);
    return text.length <= PAYLOAD_MAX ? text : JSON.stringify({ revision, touched: null } satisfies Payload);
  }
}

const THING = "name, id, type, attributes::text, version, created_at, updated_at";
const CERTIFICATE = "id, status, serial, subject, issuer, not_before, not_after, created_at, updated_at";
const POLICY = "name, document, version, created_at, updated_at";
const ATTACHMENT = "thing, certificate, exclusive";

/** What a search looks at, in one text. */
function searchable({ thingName, thingTypeName, attributes }: Thing): string {
  return [thingName, thingTypeName ?? "", ...Object.values(attributes)].join("\n").toLowerCase();
}

function conditionsOf(
  filter: ThingFilter,
  before: readonly Value[],
): { readonly where: string; readonly values: readonly Value[] } {
  let where = "";
  const values = [...before];
  const next = (value: Value): string => `$${values.push(value)}`;
  if (filter.thingTypeName !== undefined) where += ` AND type = ${next(filter.thingTypeName)}`;
  const { attributeName: name, attributeValue: value } = filter;
  if (name !== undefined && value !== undefined && filter.prefix !== true) {
    where += ` AND attributes @> ${next(JSON.stringify({ [name]: value }))}::jsonb`;
  } else if (name !== undefined) {
    where += ` AND attributes ? ${next(name)}`;
    if (value !== undefined) where += ` AND starts_with(attributes ->> ${next(name)}, ${next(value)})`;
  }
  if (filter.search !== undefined && filter.search !== "") {
    where += ` AND strpos(searchable, ${next(filter.search.toLowerCase())}) > 0`;
  }
  return { where, values };
}

function thingOf([name, id, type, attributes, version, createdAt, updatedAt]: Row): Thing {
  return {
    thingName: String(name),
    thingId: String(id),
    thingTypeName: type === null || type === undefined ? null : String(type),
    attributes: JSON.parse(String(attributes)) as Record<string, string>,
    version: Number(version),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
}

function certificateOf(row: Row): CertificateRecord {
  const [id, status, serial, subject, issuer, notBefore, notAfter, createdAt, updatedAt] = row;
  return {
    certificateId: String(id),
    status: String(status) as CertificateStatus,
    serialNumber: String(serial),
    subject: JSON.parse(String(subject)) as DistinguishedName,
    issuer: JSON.parse(String(issuer)) as DistinguishedName,
    notBefore: Number(notBefore),
    notAfter: Number(notAfter),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
  };
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

function attachmentOf([thing, certificate, exclusive]: Row): Attachment {
  return {
    thingName: String(thing),
    certificateId: String(certificate),
    type: exclusive === true ? "EXCLUSIVE_THING" : "NON_EXCLUSIVE_THING",
  };
}
