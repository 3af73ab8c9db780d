/** Users, keys and dashboards, every commit on disk: a right that was taken stays taken. */
import type { Cancel, EpochMs } from "../../base/mod.ts";
import type { Key, PeopleStore, Permission, Role, SavedSession, StoredPeople, User } from "../../people/mod.ts";
import { KEYS, SESSIONS, USERS, columnsOf, upsertOf } from "./identity-schema.ts";
import { numberOrNull, textOrNull } from "./sql.ts";
import type { Database, Row, SharedPart, Touched, Value } from "./sql.ts";

const TOUCHED: readonly Touched[] = [["people", "", "updated"]];
const PUT_USER = upsertOf(USERS);
const PUT_KEY = upsertOf(KEYS);
const PUT_SESSION = upsertOf(SESSIONS);

/** Rows of one statement. Few sizes are few texts, and prepared statements are kept by their text. */
const AT_ONCE = [200, 20, 1];

export class PeopleTable implements PeopleStore {
  readonly #db: Database;
  /** Null where nobody else writes. */
  readonly #shared: SharedPart | null;
  /** Of what the caller knows. */
  #revision = 0;
  /** What the transaction that runs now has made of it; null: it has changed nothing yet. */
  #counted: number | null = null;
  #isCounting = false;

  constructor(db: Database, shared: SharedPart | null = null) {
    this.#db = db;
    this.#shared = shared;
  }

  onNews(listener: (now: StoredPeople) => void): Cancel {
    if (this.#shared === null) return () => {};
    return this.#shared.onNews(() => {
      const now = this.#fresh();
      if (now !== null) listener(now);
    });
  }

  atomically<T>(work: (now: StoredPeople | null) => T): T {
    return this.#counting(() => work(this.#fresh()));
  }

  load(): StoredPeople {
    this.#revision = this.#shared?.revision() ?? 0;
    return this.#all();
  }

  putUser(user: User): void {
    const { name, role, disabled, password, passwordChangedAt, invitation, createdAt, lastLoginAt } = user;
    const { hash = null, expiresAt = null } = invitation ?? {};
    const times = [createdAt, lastLoginAt];
    this.#change([[PUT_USER, [name, role, disabled ? 1 : 0, password, passwordChangedAt, hash, expiresAt, ...times]]]);
  }

  deleteUser(name: string): void {
    this.#change([
      ["DELETE FROM users WHERE tenant = $1 AND name = $2", [name]],
      ["DELETE FROM keys WHERE tenant = $1 AND owner = $2", [name]],
      ['DELETE FROM sessions WHERE tenant = $1 AND "user" = $2', [name]],
    ]);
  }

  putKey(key: Key): void {
    const { id, kind, name, owner, secret, createdAt, expiresAt, lastUsedAt, lastUsedFrom } = key;
    const things = key.things === null ? null : JSON.stringify(key.things);
    const what = [id, kind, name, owner, JSON.stringify(key.permissions), things, secret];
    const times = [createdAt, expiresAt, lastUsedAt, lastUsedFrom];
    this.#change([[PUT_KEY, [...what, ...times, JSON.stringify(key.policies)]]]);
  }

  deleteKey(id: string): void {
    this.#change([["DELETE FROM keys WHERE tenant = $1 AND id = $2", [id]]]);
  }

  putSession({ id, hash, user, createdAt, lastSeenAt, endsAt, address, agent }: SavedSession): void {
    this.#change([[PUT_SESSION, [id, hash, user, createdAt, lastSeenAt, endsAt, address, agent]]]);
  }

  deleteSessions(ids: readonly string[]): void {
    const statements = inPieces(ids).map((some): Statement => {
      const places = some.map((_, index) => `$${index + 2}`).join(", ");
      return [`DELETE FROM sessions WHERE tenant = $1 AND id IN (${places})`, some];
    });
    if (statements.length > 0) this.#change(statements);
  }

  deleteSessionsOver(now: EpochMs, unseenSince: EpochMs): readonly string[] {
    return this.#db.transaction(() => {
      const text = "DELETE FROM sessions WHERE tenant = $1 AND (ends_at <= $2 OR last_seen_at < $3) RETURNING id";
      // Whoever has one of them in memory sees by himself that it is over, so it counts as no change.
      return this.#db.change(text, [now, unseenSince]).map(([id]) => String(id));
    });
  }

  touchSessions(sessions: readonly SavedSession[]): void {
    const rows = sessions.map(({ id, lastSeenAt }) => [id, lastSeenAt]);
    this.#touch(rows, (values) => {
      return `UPDATE sessions SET last_seen_at = CAST(used.column2 AS bigint) FROM (VALUES ${values}) AS used
        WHERE sessions.tenant = $1 AND sessions.id = used.column1 AND last_seen_at < CAST(used.column2 AS bigint)`;
    });
  }

  touchKeys(keys: readonly Key[]): void {
    const rows = keys.map(({ id, lastUsedAt, lastUsedFrom }) => [id, lastUsedAt ?? 0, lastUsedFrom]);
    this.#touch(rows, (values) => {
      return `UPDATE keys SET last_used_at = CAST(used.column2 AS bigint), last_used_from = used.column3
        FROM (VALUES ${values}) AS used
        WHERE keys.tenant = $1 AND keys.id = used.column1 AND coalesce(last_used_at, 0) <= CAST(used.column2 AS bigint)`;
    });
  }

  /** Counts as no change: others need not read everything again for it. */
  #touch(rows: readonly (readonly Value[])[], textOf: (values: string) => string): void {
    if (rows.length === 0) return;
    this.#db.transaction(() => {
      for (const some of inPieces(rows)) {
        const { length } = some[0]!;
        const place = (row: number, column: number): string => `$${2 + row * length + column}`;
        const values = some.map((row, index) => `(${row.map((_, column) => place(index, column)).join(", ")})`);
        this.#db.change(textOf(values.join(", ")), some.flat());
      }
    });
  }

  #change(statements: readonly Statement[]): void {
    this.#counting(() => {
      for (const [text, values] of statements) this.#db.change(text, values, TOUCHED);
      if (this.#shared !== null) this.#counted ??= this.#shared.count();
    });
  }

  /** Once per transaction; a change of ours is no news. */
  #counting<T>(work: () => T): T {
    if (this.#isCounting) return work();
    this.#isCounting = true;
    this.#counted = null;
    try {
      const result = this.#db.transaction(work);
      if (this.#counted === this.#revision + 1) this.#revision++;
      return result;
    } finally {
      this.#isCounting = false;
    }
  }

  #fresh(): StoredPeople | null {
    const now = this.#shared?.revision() ?? 0;
    if (now === this.#revision) return null;
    const all = this.#all();
    this.#revision = now;
    return all;
  }

  #all(): StoredPeople {
    const rows = (table: typeof USERS): readonly Row[] =>
      this.#db.rows(`SELECT ${columnsOf(table)} FROM ${table.name} WHERE tenant = $1 ORDER BY ${table.key.join(", ")}`);
    return {
      users: rows(USERS).map(userOf),
      keys: rows(KEYS).map(keyOf),
      sessions: rows(SESSIONS).map(sessionOf),
    };
  }
}

type Statement = readonly [text: string, values: readonly Value[]];

function inPieces<T>(all: readonly T[]): readonly (readonly T[])[] {
  const pieces: (readonly T[])[] = [];
  for (let from = 0; from < all.length;) {
    const size = AT_ONCE.find((one) => one <= all.length - from)!;
    pieces.push(all.slice(from, from + size));
    from += size;
  }
  return pieces;
}

function userOf(row: Row): User {
  const [name, role, disabled, password, changedAt, hash, invitedUntil, createdAt, lastLoginAt] = row;
  return {
    name: String(name),
    role: String(role) as Role,
    disabled: Number(disabled) === 1,
    password: textOrNull(password),
    passwordChangedAt: numberOrNull(changedAt),
    invitation: hash === null ? null : { hash: String(hash), expiresAt: Number(invitedUntil) },
    createdAt: Number(createdAt),
    lastLoginAt: numberOrNull(lastLoginAt),
  };
}

function keyOf(row: Row): Key {
  const [id, kind, name, owner, permissions, things, secret, createdAt, expiresAt, usedAt, usedFrom, policies] = row;
  return {
    id: String(id),
    kind: String(kind) as Key["kind"],
    name: String(name),
    owner: textOrNull(owner),
    permissions: JSON.parse(String(permissions)) as Permission[],
    things: things === null ? null : (JSON.parse(String(things)) as string[]),
    policies: JSON.parse(String(policies)) as string[],
    secret: String(secret),
    createdAt: Number(createdAt),
    expiresAt: numberOrNull(expiresAt),
    lastUsedAt: numberOrNull(usedAt),
    lastUsedFrom: textOrNull(usedFrom),
  };
}

function sessionOf([id, hash, user, createdAt, lastSeenAt, endsAt, address, agent]: Row): SavedSession {
  return {
    id: String(id),
    hash: String(hash),
    user: textOrNull(user),
    createdAt: Number(createdAt),
    lastSeenAt: Number(lastSeenAt),
    endsAt: Number(endsAt),
    address: String(address),
    agent: String(agent),
  };
}
