/** Which certificate follows which, and which expired ones may be renewed once more. */
import type { Cancel, EpochMs } from "../../base/mod.ts";
import type { Succession, SuccessionStore } from "../../identity/mod.ts";
import { ALLOWANCE, SUCCESSION, columnsOf, upsertOf } from "./identity-schema.ts";
import { numberOrNull } from "./sql.ts";
import type { Database, Row, SharedPart, Touched, Value } from "./sql.ts";

const TOUCHED: readonly Touched[] = [["successions", "", "updated"]];
const SAVE = upsertOf(SUCCESSION);
const ALLOW = upsertOf(ALLOWANCE);

export class SuccessionTable implements SuccessionStore {
  readonly #db: Database;
  readonly #shared: SharedPart | null;

  constructor(db: Database, shared: SharedPart | null = null) {
    this.#db = db;
    this.#shared = shared;
  }

  onNews(listener: () => void): Cancel {
    return this.#shared?.onNews(listener) ?? ((): void => {});
  }

  atomically<T>(work: () => T): T {
    return this.#db.transaction(work);
  }

  load(): readonly Succession[] {
    const text = `SELECT ${columnsOf(SUCCESSION)} FROM succession WHERE tenant = $1 ORDER BY issued_at, successor`;
    return this.#db.rows(text).map(successionOf);
  }

  ofPredecessor(certificateId: string): readonly Succession[] {
    const text = `SELECT ${columnsOf(SUCCESSION)} FROM succession WHERE tenant = $1 AND predecessor = $2
      ORDER BY issued_at, successor`;
    return this.#db.rows(text, [certificateId]).map(successionOf);
  }

  save({ successor, predecessor, issuedAt, confirmedAt }: Succession): void {
    this.#change(SAVE, [successor, predecessor, issuedAt, confirmedAt], TOUCHED);
  }

  remove(successor: string): void {
    this.#change("DELETE FROM succession WHERE tenant = $1 AND successor = $2", [successor], TOUCHED);
  }

  allowance(certificateId: string): EpochMs | null {
    const text = "SELECT until FROM allowance WHERE tenant = $1 AND certificate = $2";
    return numberOrNull(this.#db.rows(text, [certificateId])[0]?.[0]);
  }

  allow(certificateId: string, until: EpochMs): void {
    this.#change(ALLOW, [certificateId, until]);
  }

  removeAllowances(before: EpochMs): void {
    this.#change("DELETE FROM allowance WHERE tenant = $1 AND until < $2", [before]);
  }

  #change(text: string, values: readonly Value[], touched: readonly Touched[] = []): void {
    this.#db.transaction(() => this.#db.change(text, values, touched));
  }
}

function successionOf([successor, predecessor, issuedAt, confirmedAt]: Row): Succession {
  return {
    successor: String(successor),
    predecessor: String(predecessor),
    issuedAt: Number(issuedAt),
    confirmedAt: numberOrNull(confirmedAt),
  };
}
