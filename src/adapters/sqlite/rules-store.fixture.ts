/** What is saved, in small, and a file that refuses it. */
import { DatabaseSync } from "node:sqlite";
import type { Alert, DeadLetter, SaveBatch, SavedDelivery } from "../../rules/mod.ts";
import { sealingWith } from "../sealing.ts";
import { alertOf } from "../../rules/alerts/alert.fixture.ts";

export const SEALING = sealingWith(new Uint8Array(32).fill(9));
export const WEBHOOK = { key: "webhook a", carrier: "webhook", label: "http://a", settings: { url: "http://a/" } };
export const SLACK = { key: "slack b", carrier: "slack", label: "https://b", settings: { url: "https://b/SECRET" } };

export function delivery(n: number, more: Partial<SavedDelivery> = {}): SavedDelivery {
  return {
    id: `r-${n}`,
    receiver: "webhook a",
    rule: "r",
    things: [`thing-${n % 2}`],
    fields: { "content-type": "application/json" },
    origin: null,
    body: Uint8Array.of(n & 0xff, 0, 255),
    offset: n,
    createdAt: 1000 + n,
    attempts: 0,
    nextAttemptAt: 1000 + n,
    lastError: null,
    ...more,
  };
}

export function dead(n: number, more: Partial<DeadLetter> = {}): DeadLetter {
  const { nextAttemptAt: _, ...rest } = delivery(n);
  return { ...rest, attempts: 3, lastError: "HTTP 404", diedAt: 5000, ...more };
}

export function alert(id: string, more: Partial<Alert> = {}): Alert {
  return alertOf({ id, ...more });
}

export const NOTHING: SaveBatch = {
  checkpoint: 0,
  receivers: [],
  deliveries: [],
  done: [],
  dead: [],
  alerts: [],
  alertRows: [],
  windows: [],
  toldUntil: null,
  owed: [],
};

/** Rows of a table of the file are refused from now on, as a trigger says; null: no more. */
export function refuse(path: string, table: string, how: string | null, when = "1"): void {
  const database = new DatabaseSync(path);
  database.exec("DROP TRIGGER IF EXISTS refused");
  const body = `BEFORE INSERT ON ${table} WHEN ${when} BEGIN SELECT ${how}; END`;
  if (how !== null) database.exec(`CREATE TRIGGER refused ${body}`);
  database.close();
}
