/**
 * The registry in PostgreSQL; several platforms may share it. Every transaction counts the revision up, which makes writers
 * take turns, and tells the others what it touched when it commits. Why it may wait: docs/decisions/0006-registry-on-postgresql.md.
 */
import { isTidewireError } from "../../base/mod.ts";
import type { Cancel, Logger } from "../../base/mod.ts";
import type { ForeignChanges, OtherWriters, RegistryStore } from "../../registry/mod.ts";
import { FIRST_TENANT } from "../registry-sql/sql.ts";
import type { Row, Sql, Touched, Value } from "../registry-sql/sql.ts";
import { registryTables } from "../registry-sql/tables.ts";
import type { RegistryTables } from "../registry-sql/tables.ts";
import { RegistryLink } from "./registry-link.ts";
import { channelOf } from "./registry-schema.ts";
import type { PostgresServerAddress } from "./server-url.ts";

const SCHEMA = "tidewire_registry";
/** PostgreSQL takes 8,000 bytes. */
const PAYLOAD_MAX = 7_000;

/** What a transaction tells the others; names and ids are ASCII. */
interface Payload {
  readonly revision: number;
  readonly tenant: string;
  /** Null: too much to tell. */
  readonly touched: ForeignChanges | null;
}

export class PostgresRegistryStore implements RegistryStore, OtherWriters {
  readonly sql: Sql;
  readonly things: RegistryTables["things"];
  readonly types: RegistryTables["types"];
  readonly groups: RegistryTables["groups"];
  readonly certificates: RegistryTables["certificates"];
  readonly authorities: RegistryTables["authorities"];
  readonly passwords: RegistryTables["passwords"];
  readonly policies: RegistryTables["policies"];
  readonly tags: RegistryTables["tags"];
  readonly #schema: string;
  readonly #tenant: string;
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
  #transaction: { readonly connection: number; readonly touched: TouchedRecords } | null = null;

  private constructor(schema: string, tenant: string) {
    this.#schema = schema;
    this.#tenant = tenant;
    this.sql = {
      position: "strpos",
      rows: (text, values = []) => this.#rows(text, [tenant, ...values]),
      change: (text, values, touched = []) => this.#change(text, [tenant, ...values], touched),
    };
    const tables = registryTables(this.sql);
    this.things = tables.things;
    this.types = tables.types;
    this.groups = tables.groups;
    this.certificates = tables.certificates;
    this.authorities = tables.authorities;
    this.passwords = tables.passwords;
    this.policies = tables.policies;
    this.tags = tables.tags;
  }

  static async open(
    address: PostgresServerAddress,
    logger: Logger,
    tenant: string = FIRST_TENANT,
  ): Promise<PostgresRegistryStore> {
    const store = new PostgresRegistryStore(address.schema ?? SCHEMA, tenant);
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

  #hear({ revision, tenant, touched }: Payload): void {
    const next = revision === this.#revision + 1;
    this.#revision = Math.max(this.#revision, revision);
    if (next && tenant !== this.#tenant) return;
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
    const touched = new TouchedRecords();
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
      const payload = touched.payload(revision, this.#tenant);
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

  #change(text: string, values: readonly Value[], touched: readonly Touched[]): readonly Row[] {
    if (this.#transaction === null) throw new Error("a change outside of a transaction");
    const rows = this.#rows(text, values);
    for (const one of touched) this.#transaction.touched.add(one);
    return rows;
  }
}

/** Transactions of others that wait to be looked at; beyond, everything counts as changed. */
const NEWS_MAX = 1_000;

/** What one transaction changed; the last change of a record counts. Bounded: beyond it, too much to tell. */
class TouchedRecords {
  readonly #records = new Map<string, Touched>();

  get any(): boolean {
    return this.#records.size > 0;
  }

  add(touched: Touched): void {
    // More than that is too much to tell in any case.
    if (this.#records.size < PAYLOAD_MAX) this.#records.set(`${touched[0]} ${touched[1]}`, touched);
  }

  payload(revision: number, tenant: string): string {
    const touched: ForeignChanges = [...this.#records.values()];
    const text = JSON.stringify({ revision, tenant, touched } satisfies Payload);
    return text.length <= PAYLOAD_MAX ? text : JSON.stringify({ revision, tenant, touched: null } satisfies Payload);
  }
}
