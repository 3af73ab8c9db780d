/**
 * Failed log-ins that several platforms count together, so that one more platform gives nobody more guesses. Each step is a
 * statement of its own, by the server's clock: the row's lock decides among those who come at once.
 */
import { LIMITS, networkOf } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import type { AttemptRule, SharedAttempts } from "../../people/mod.ts";
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

export class PostgresLoginFailures implements SharedAttempts {
  readonly #sql: Sql;
  readonly #names: Statements;
  readonly #addresses: Statements;

  constructor(sql: Sql, perName: AttemptRule, perAddress: AttemptRule) {
    this.#sql = sql;
    this.#names = statementsFor(perName);
    this.#addresses = statementsFor(perAddress);
  }

  claim(name: string, address: string): Millis {
    const [ofName, ofAddress] = [sourceOf(name), sourceOf(null, address)];
    if (!this.#claim(this.#addresses, ofAddress)) return this.#waitOf(ofAddress);
    if (this.#claim(this.#names, ofName)) return 0;
    this.#sql.rows(this.#addresses.take, [ofAddress]); // refused unseen, it counts for nobody
    return this.#waitOf(ofName);
  }

  succeeded(name: string, address: string): void {
    this.#sql.rows("DELETE FROM login_failures WHERE tenant = $1 AND source = $2", [sourceOf(name)]);
    this.#sql.rows(this.#addresses.take, [sourceOf(null, address)]);
  }

  sweep(): void {
    const beyond = `SELECT source FROM login_failures WHERE tenant = $1 ORDER BY last_at DESC OFFSET ${loginSourcesMax}`;
    this.#sql.rows(`DELETE FROM login_failures WHERE tenant = $1
      AND (last_at < ${NOW} - ${loginForgetAfter} OR source IN (${beyond}))`);
  }

  #claim({ claim }: Statements, source: Value): boolean {
    return this.#sql.rows(claim, [source]).length > 0;
  }

  #waitOf(source: Value): Millis {
    const text = `SELECT until - ${NOW} FROM login_failures WHERE tenant = $1 AND source = $2`;
    return Math.max(1, Number(this.#sql.rows(text, [source])[0]?.[0] ?? 1));
  }
}

/** A name is a stranger's text: as JSON it holds nothing that the server does not take. */
function sourceOf(name: string | null, address = ""): string {
  return name === null ? `address ${networkOf(address)}` : `name ${JSON.stringify(name)}`;
}
