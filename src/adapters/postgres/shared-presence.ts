/**
 * Who is connected where, for platforms that share a registry. Each writes its own rows; a platform that gave no sign of life for a
 * while has no connections any more, whatever its rows say. Its own rows begin anew with each of its starts.
 */
import { LIMITS, days } from "../../base/mod.ts";
import type { Cancel } from "../../base/mod.ts";
import type { PlatformPresence, SavedPresence, SharedPresence } from "../../registry/mod.ts";
import { textOrNull } from "../identity-sql/sql.ts";
import type { Database, SharedPart, Touched, Value } from "../identity-sql/sql.ts";

export const PRESENCE = `
  CREATE TABLE platforms (
    tenant text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, alive_at bigint NOT NULL, PRIMARY KEY (tenant, id)
  );
  CREATE TABLE connectivity (
    tenant text COLLATE "C" NOT NULL, thing text COLLATE "C" NOT NULL, platform text COLLATE "C" NOT NULL,
    online bigint NOT NULL, last_seen_at bigint NOT NULL, reason text, address text, revision bigint NOT NULL,
    PRIMARY KEY (tenant, thing, platform)
  );
  CREATE INDEX connectivity_by_revision ON connectivity (tenant, revision);`;

const TOUCHED: readonly Touched[] = [["presence", "", "updated"]];
const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
const REVISION = "(SELECT revision FROM state)";
/** Of one statement; PostgreSQL takes 65,535 values. */
const ROWS_AT_ONCE = 1_000;
const PLATFORM_FORGOTTEN_AFTER = days(30);

export class PostgresPresence implements SharedPresence {
  readonly #db: Database;
  readonly #part: SharedPart;
  readonly #platform: string;
  #known = -1;

  constructor(db: Database, part: SharedPart, platform: string) {
    this.#db = db;
    this.#part = part;
    this.#platform = platform;
  }

  begin(): void {
    this.#db.transaction(() => {
      const text = `UPDATE connectivity SET online = 0, revision = ${REVISION} WHERE tenant = $1 AND platform = $2 AND online = 1`;
      this.#db.change(text, [this.#platform], TOUCHED);
    });
  }

  save(entries: readonly SavedPresence[]): void {
    this.#db.transaction(() => {
      for (let from = 0; from < entries.length; from += ROWS_AT_ONCE) {
        const values: Value[] = [this.#platform];
        const rows = entries.slice(from, from + ROWS_AT_ONCE).map((entry) => {
          const { thing, online, lastSeenAt, disconnectReason, remoteAddress } = entry;
          const at = values.push(thing, online ? 1 : 0, lastSeenAt, disconnectReason, remoteAddress) - 3;
          return `($1, $${at}, $2, $${at + 1}, $${at + 2}, $${at + 3}, $${at + 4}, ${REVISION})`;
        });
        const text = `INSERT INTO connectivity (tenant, thing, platform, online, last_seen_at, reason, address, revision)
          VALUES ${rows.join(", ")} ON CONFLICT (tenant, thing, platform) DO UPDATE SET online = excluded.online,
          last_seen_at = excluded.last_seen_at, reason = excluded.reason, address = excluded.address, revision = excluded.revision`;
        this.#db.change(text, values, TOUCHED);
      }
    });
  }

  remove(thing: string): void {
    this.#db.transaction(() => {
      this.#db.change("DELETE FROM connectivity WHERE tenant = $1 AND thing = $2", [thing]);
    });
  }

  alive(): ReadonlySet<string> {
    this.#db.rows(
      `INSERT INTO platforms VALUES ($1, $2, ${NOW}) ON CONFLICT (tenant, id) DO UPDATE SET alive_at = excluded.alive_at`,
      [this.#platform],
    );
    const text = `SELECT id FROM platforms WHERE tenant = $1 AND id <> $2 AND alive_at > ${NOW} - $3::bigint`;
    return new Set(this.#db.rows(text, [this.#platform, LIMITS.registry.platformGoneAfter]).map(([id]) => String(id)));
  }

  news(): readonly PlatformPresence[] {
    const text = `SELECT platform, thing, online, last_seen_at, reason, address, revision FROM connectivity
      WHERE tenant = $1 AND platform <> $2 AND revision > $3 ORDER BY revision`;
    return this.#db.rows(text, [this.#platform, this.#known]).map((row) => {
      const [platform, thing, online, lastSeenAt, reason, address, revision] = row;
      this.#known = Math.max(this.#known, Number(revision));
      return {
        platform: String(platform),
        thing: String(thing),
        online: Number(online) === 1,
        lastSeenAt: Number(lastSeenAt),
        disconnectReason: textOrNull(reason),
        remoteAddress: textOrNull(address),
      };
    });
  }

  sweep(): void {
    const gone = `SELECT id FROM platforms WHERE tenant = $1 AND alive_at < ${NOW} - ${PLATFORM_FORGOTTEN_AFTER}`;
    this.#db.rows(`DELETE FROM connectivity WHERE tenant = $1 AND platform IN (${gone})`);
    this.#db.rows(`DELETE FROM platforms WHERE tenant = $1 AND alive_at < ${NOW} - ${PLATFORM_FORGOTTEN_AFTER}`);
  }

  onNews(listener: () => void): Cancel {
    return this.#part.onNews(listener);
  }
}
