/**
 * Failed log-ins that several platforms count together, so that one more platform gives nobody more guesses. Each step is a
 * statement of its own, by the server's clock: the row's lock decides among those who come at once.
 */
import { LIMITS, minutes, networkOf } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import type { SharedJoinFailures } from "../../identity/mod.ts";
import type { AttemptRule, AttemptRules, SharedAttempts } from "../../people/mod.ts";
import type { Sql, Value } from "../identity-sql/sql.ts";

const { loginDelayMin, loginForgetAfter, loginSourcesMax } = LIMITS.people;

export const LOGIN_FAILURES = `
  CREATE TABLE login_failures (
    tenant text COLLATE "C" NOT NULL, source text COLLATE "C" NOT NULL, count bigint NOT NULL, last_at bigint NOT NULL,
    until bigint NOT NULL, PRIMARY KEY (tenant, source)
  );
  CREATE INDEX login_failures_by_time ON login_failures (tenant, last_at);`;

const NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
const COUNT = `CASE WHEN excluded.last_at - f.last_at > ${loginForgetAfter} THEN 1 ELSE f.count + 1 END`;

/** The wait after so many failures. */
function delayOf(count: string, { free, delayMax }: AttemptRule): string {
  const doubled = `${loginDelayMin}::bigint << least(${count} - ${free}, 30)::int`;
  return `(CASE WHEN ${count} < ${free} THEN 0 ELSE least(${doubled}, ${delayMax}) END)`;
}

interface Statements {
  /** A row where nobody has to wait; then it is a failure more. */
  readonly claim: string;
  /** One failure less. */
  readonly take: string;
}

function statementsFor(rule: AttemptRule): Statements {
  return {
    claim: `INSERT INTO login_failures AS f SELECT $1, $2, 1, now, now + ${delayOf("1", rule)} FROM (SELECT ${NOW} AS now) AS c
      ON CONFLICT (tenant, source) DO UPDATE SET count = ${COUNT}, last_at = excluded.last_at,
        until = excluded.last_at + ${delayOf(`(${COUNT})`, rule)}
      WHERE f.until <= excluded.last_at RETURNING 1`,
    take: `UPDATE login_failures SET count = count - 1, until = last_at + ${delayOf("(count - 1)", rule)}
      WHERE tenant = $1 AND source = $2 AND count > 0`,
  };
}

/** Who fails is counted apart: a crowd of devices takes no room from people. People's came first, and have no word. */
export type FailingScope = "" | "device " | "join ";

export class PostgresLoginFailures implements SharedAttempts {
  readonly #sql: Sql;
  readonly #scope: FailingScope;
  readonly #names: Statements;
  readonly #addresses: Statements;
  readonly #late: boolean;

  constructor(sql: Sql, { perName, perAddress, chargesAddressLate }: AttemptRules, scope: FailingScope) {
    this.#sql = sql;
    this.#scope = scope;
    this.#names = statementsFor(perName);
    this.#addresses = statementsFor(perAddress);
    this.#late = chargesAddressLate;
  }

  claim(name: string, address: string): Millis {
    const [ofName, ofAddress] = [this.#ofName(name), this.#ofAddress(address)];
    if (this.#late) {
      const wait = this.#waitOf(ofAddress);
      if (wait > 0) return wait;
    } else if (!this.#claim(this.#addresses, ofAddress)) return Math.max(1, this.#waitOf(ofAddress));
    if (this.#claim(this.#names, ofName)) return 0;
    if (!this.#late) this.#sql.rows(this.#addresses.take, [ofAddress]); // refused unseen, it counts for nobody
    return Math.max(1, this.#waitOf(ofName));
  }

  succeeded(name: string, address: string): void {
    this.#sql.rows("DELETE FROM login_failures WHERE tenant = $1 AND source = $2", [this.#ofName(name)]);
    if (!this.#late) this.#sql.rows(this.#addresses.take, [this.#ofAddress(address)]);
  }

  abandoned(name: string, address: string): void {
    this.#sql.rows(this.#names.take, [this.#ofName(name)]);
    if (!this.#late) this.#sql.rows(this.#addresses.take, [this.#ofAddress(address)]);
  }

  failed(address: string): void {
    if (this.#late) this.#claim(this.#addresses, this.#ofAddress(address));
  }

  sweep(): void {
    sweep(this.#sql, this.#scope);
  }

  #claim({ claim }: Statements, source: Value): boolean {
    return this.#sql.rows(claim, [source]).length > 0;
  }

  /** 0 or less: nobody has to wait. */
  #waitOf(source: Value): Millis {
    const text = `SELECT until - ${NOW} FROM login_failures WHERE tenant = $1 AND source = $2`;
    return Number(this.#sql.rows(text, [source])[0]?.[0] ?? 0);
  }

  /** A name is a stranger's text: as JSON it holds nothing that the server does not take. */
  #ofName(name: string): string {
    return `${this.#scope}name ${JSON.stringify(name)}`;
  }

  #ofAddress(address: string): string {
    return `${this.#scope}address ${networkOf(address)}`;
  }
}

/** Wrong join codes of the server's minute: a row for all, and one for each address. */
export class PostgresJoinFailures implements SharedJoinFailures {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  mayTry(address: string): boolean {
    const text = `SELECT source, count FROM login_failures
      WHERE tenant = $1 AND source IN ($2, $3) AND last_at = ${MINUTE}`;
    const counts = new Map(
      this.#sql.rows(text, [ALL, ofJoiner(address)]).map(([source, count]) => [source, Number(count)]),
    );
    const { joinFailuresMax, joinFailuresPerAddressMax } = LIMITS.provisioning;
    return (counts.get(ALL) ?? 0) < joinFailuresMax && (counts.get(ofJoiner(address)) ?? 0) < joinFailuresPerAddressMax;
  }

  failed(address: string): void {
    const text = `INSERT INTO login_failures AS f SELECT $1, source, 1, ${MINUTE}, 0 FROM (VALUES ($2), ($3)) AS s (source)
      ON CONFLICT (tenant, source) DO UPDATE SET last_at = excluded.last_at,
        count = CASE WHEN f.last_at = excluded.last_at THEN f.count + 1 ELSE 1 END`;
    this.#sql.rows(text, [ALL, ofJoiner(address)]);
  }

  sweep(): void {
    sweep(this.#sql, "join ");
  }
}

const ALL = "join address all";
const MINUTE = `(${NOW} / ${minutes(1)} * ${minutes(1)})`;

function ofJoiner(address: string): string {
  return `join address ${networkOf(address)}`;
}

function sweep(sql: Sql, scope: FailingScope): void {
  const own = `tenant = $1 AND (starts_with(source, '${scope}name ') OR starts_with(source, '${scope}address '))`;
  const beyond = `SELECT source FROM login_failures WHERE ${own} ORDER BY last_at DESC OFFSET ${loginSourcesMax}`;
  sql.rows(`DELETE FROM login_failures WHERE ${own}
    AND (last_at < ${NOW} - ${loginForgetAfter} OR source IN (${beyond}))`);
}
