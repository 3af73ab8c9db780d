/**
 * The database of identity in PostgreSQL; several platforms may share it. Every transaction counts the revision up, which
 * makes writers take turns, and tells the others what it touched when it commits. Why it may wait:
 * docs/decisions/0006-registry-on-postgresql.md.
 */
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Cancel, Logger } from "../../base/mod.ts";
import type { ForeignChanges, OtherWriters } from "../../registry/mod.ts";
import { FIRST_TENANT } from "../identity-sql/sql.ts";
import type { Database, KeptPart, Locks, Row, SharedPart, Touched, Value } from "../identity-sql/sql.ts";
import { RegistryLink } from "./registry-link.ts";
import { channelOf } from "./registry-schema.ts";
import type { PostgresServerAddress } from "./server-url.ts";

const SCHEMA = "tidewire_registry";
/** PostgreSQL takes 8,000 bytes. */
const PAYLOAD_MAX = 7_000;
/** Transactions of others that wait to be looked at; beyond, everything counts as changed. */
const NEWS_MAX = 1_000;
const KEPT_PARTS: readonly KeptPart[] = ["people", "successions", "presence"];

/** The server counts how often a session takes a lock, so it is taken once. */
const HELD = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
  AND ((classid::bigint << 32) | objid::bigint) = hashtextextended($1, 0)`;
const LOCK = `SELECT EXISTS (${HELD}) OR pg_try_advisory_lock(hashtextextended($1, 0))`;
const UNLOCK = `SELECT pg_advisory_unlock(hashtextextended($1, 0)) WHERE EXISTS (${HELD})`;

/** What a transaction tells the others; names and ids are ASCII. */
interface Payload {
  readonly revision: number;
  readonly tenant: string;
  /** Null: too much to tell. */
  readonly touched: readonly Touched[] | null;
}

export class PostgresDatabase implements Database, OtherWriters {
  readonly position = "strpos";
  readonly #schema: string;
  readonly #tenant: string;
  readonly #logger: Logger;
  #link!: RegistryLink;
  /** What this platform knows of: its own commits, and those that it heard of. */
  #revision = -1;
  /** Of the registry; heard and not taken yet; null: something was missed. Bounded by `NEWS_MAX`. */
  #news: ForeignChanges[] | null = [];
  /** Parts that others have changed, and whose listeners were not told yet. */
  readonly #stale = new Set<KeptPart>();
  #listener: (() => void) | null = null;
  /** As many as there are stores of parts: one each. */
  readonly #partListeners = new Set<{ readonly part: KeptPart; readonly listener: () => void }>();
  #telling = false;
  /** Of the transaction that runs now. */
  #transaction: { readonly connection: number; readonly touched: TouchedRecords } | null = null;

  private constructor(schema: string, tenant: string, logger: Logger) {
    this.#schema = schema;
    this.#tenant = tenant;
    this.#logger = logger;
  }

  /** Throws DATABASE_UNREACHABLE, DATABASE_NEWER. */
  static async open(
    address: PostgresServerAddress,
    logger: Logger,
    tenant: string = FIRST_TENANT,
  ): Promise<PostgresDatabase> {
    const database = new PostgresDatabase(address.schema ?? SCHEMA, tenant, logger);
    database.#link = await RegistryLink.open(address, database.#schema, logger, {
      news: (payload) => database.#hear(JSON.parse(payload) as Payload),
      up: (revision) => database.#meet(revision),
    });
    return database;
  }

  /** Why it cannot be asked now; null where it can. */
  get away(): string | null {
    return this.#link.down;
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  // ── statements ───────────────────────────────────────────────────────────────────────────────

  rows(text: string, values: readonly Value[] = []): readonly Row[] {
    return this.#ask(text, [this.#tenant, ...values]);
  }

  change(text: string, values: readonly Value[], touched: readonly Touched[] = []): readonly Row[] {
    if (this.#transaction === null) throw new Error("a change outside of a transaction");
    const rows = this.rows(text, values);
    this.#transaction.touched.add(touched);
    return rows;
  }

  transaction<T>(work: () => T): T {
    if (this.#transaction !== null) return work();
    const { connection } = this.#link.ask("BEGIN", []);
    const touched = new TouchedRecords();
    this.#transaction = { connection, touched };
    try {
      // Waits for whoever writes now; from here on nobody else does.
      const [row] = this.#ask("UPDATE state SET revision = revision + 1 RETURNING revision", []);
      const revision = Number(row?.[0]);
      const result = work();
      if (!touched.any) {
        this.#ask("ROLLBACK", []);
        return result;
      }
      const payload = touched.payload(revision, this.#tenant);
      this.#ask("SELECT pg_notify($1, $2)", [channelOf(this.#schema), payload]);
      this.#ask("COMMIT", []);
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

  readonly locks: Locks = {
    lock: (name) => this.#ask(LOCK, [this.#lockName(name)])[0]?.[0] === true,
    unlock: (name) => void this.#ask(UNLOCK, [this.#lockName(name)]),
  };

  #lockName(name: string): string {
    return `tidewire ${this.#schema} ${this.#tenant} ${name}`;
  }

  #rollBack(): void {
    try {
      this.#ask("ROLLBACK", []);
    } catch (error) {
      // Away: the server rolls back by itself, unless the COMMIT had arrived; the revision will tell.
      if (!isTidewireError(error)) throw error;
    }
  }

  #ask(text: string, values: readonly Value[]): readonly Row[] {
    return this.#link.ask(text, values, this.#transaction?.connection ?? null).rows;
  }

  // ── others ───────────────────────────────────────────────────────────────────────────────────

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

  /** A part that somebody here keeps in memory. */
  part(part: KeptPart): SharedPart {
    const name = `${part} revision`;
    return {
      revision: () => {
        const [row] = this.rows("SELECT value FROM registry_values WHERE tenant = $1 AND name = $2", [name]);
        return Number(row?.[0] ?? 0);
      },
      count: () => {
        const text = `INSERT INTO registry_values VALUES ($1, $2, '1') ON CONFLICT (tenant, name) DO UPDATE
          SET value = (registry_values.value::bigint + 1)::text RETURNING value`;
        return Number(this.change(text, [name])[0]?.[0]);
      },
      onNews: (listener) => {
        const entry = { part, listener };
        this.#partListeners.add(entry);
        return () => this.#partListeners.delete(entry);
      },
    };
  }

  #hear({ revision, tenant, touched }: Payload): void {
    const next = revision === this.#revision + 1;
    this.#revision = Math.max(this.#revision, revision);
    if (next && tenant !== this.#tenant) return;
    if (touched === null || !next) return this.#missed();
    for (const [kind] of touched) if (isKept(kind)) this.#stale.add(kind);
    const records = touched.filter(isRecord);
    if (this.#news !== null && records.length > 0) {
      if (this.#news.length >= NEWS_MAX) this.#news = null;
      else this.#news.push(records);
    }
    this.#tellSoon();
  }

  /** The revision that is there now; another than ours means that changes were missed. */
  #meet(revision: number): void {
    const first = this.#revision < 0;
    const same = revision === this.#revision;
    this.#revision = revision;
    if (!first && !same) this.#missed();
    else this.#tellSoon(); // whoever could not be told while the database was away
  }

  #missed(): void {
    this.#news = null;
    for (const part of KEPT_PARTS) this.#stale.add(part);
    this.#tellSoon();
  }

  /** Not at once: it may be in the middle of a question. */
  #tellSoon(): void {
    const nothing = this.#news?.length === 0 && this.#stale.size === 0;
    if (this.#telling || nothing) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      if (this.#news?.length !== 0) this.#listener?.();
      for (const part of this.#stale) this.#tellPart(part);
    });
  }

  #tellPart(part: KeptPart): void {
    this.#stale.delete(part);
    for (const { part: of, listener } of this.#partListeners) {
      try {
        if (of === part) listener();
      } catch (error) {
        this.#stale.add(part);
        this.#logger.warn(
          "What other platforms have changed is not known yet; it is looked at when the database is back",
          {
            part,
            reason: reasonOf(error),
          },
        );
      }
    }
  }
}

function isKept(kind: Touched[0]): kind is KeptPart {
  return kind === "people" || kind === "successions" || kind === "presence";
}

function isRecord(touched: Touched): touched is ForeignChanges[number] {
  return !isKept(touched[0]);
}

/** What one transaction changed; the last change of a record counts. Bounded: beyond it, too much to tell. */
class TouchedRecords {
  readonly #records = new Map<string, Touched>();
  any = false;

  add(touched: readonly Touched[]): void {
    this.any = true;
    for (const one of touched) {
      // More than that is too much to tell in any case.
      if (this.#records.size < PAYLOAD_MAX) this.#records.set(`${one[0]} ${one[1]}`, one);
    }
  }

  payload(revision: number, tenant: string): string {
    const touched = [...this.#records.values()];
    const text = JSON.stringify({ revision, tenant, touched } satisfies Payload);
    return text.length <= PAYLOAD_MAX ? text : JSON.stringify({ revision, tenant, touched: null } satisfies Payload);
  }
}
