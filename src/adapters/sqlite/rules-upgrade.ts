/** Rows of `rules.db` before format 3: requests of webhooks and Slack, with address and secret in each. Moved over once. */
import type { DatabaseSync } from "node:sqlite";
import type { JsonObject } from "../../base/mod.ts";
import { receiverOf } from "../../rules/mod.ts";
import type { Delivery, Receiver, RuleDocument } from "../../rules/mod.ts";
import { columnsOf } from "./rules-rows.ts";
import type { Row, Statements } from "./rules-rows.ts";
import { transaction } from "./open.ts";

export interface Upgrade {
  readonly database: DatabaseSync;
  readonly statements: Statements;
  readonly keyedHash: (text: string) => string;
  readonly putRule: (rule: RuleDocument) => void;
  readonly putReceiver: (receiver: Receiver) => void;
}

/** Also seals the rules' secrets. All of it or nothing; where it is cut short, the next start does it. */
export function upgradeRows({ database, statements, keyedHash, putRule, putReceiver }: Upgrade): void {
  const isOld = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'old_deliveries'";
  if (database.prepare(isOld).get() === undefined) return;
  const all = (sql: string): Row[] => database.prepare(sql).all();
  database.exec("PRAGMA secure_delete = ON"); // what is removed held secrets
  transaction(database, () => {
    for (const row of all("SELECT document FROM rules")) putRule(JSON.parse(row["document"] as string) as RuleDocument);
    const move = (row: Row): Delivery => {
      const { receiver, delivery } = modern(row, keyedHash);
      putReceiver(receiver);
      return delivery;
    };
    for (const row of all("SELECT * FROM old_deliveries")) {
      const columns = columnsOf(move(row));
      statements.add.run(...columns, row["attempts"]!, row["next_attempt_at"]!, row["last_error"]!);
    }
    for (const row of all("SELECT * FROM old_dead_letters ORDER BY seq")) {
      statements.bury.run(...columnsOf(move(row)), row["attempts"]!, row["last_error"]!, row["died_at"]!);
    }
    database.exec("DROP TABLE old_deliveries; DROP TABLE old_dead_letters");
  });
}

const CONTENT_TYPE = "content-type";

/** With the receiver that the same action has now. */
function modern(row: Row, keyedHash: (text: string) => string): { receiver: Receiver; delivery: Delivery } {
  const url = row["url"] as string;
  const carrier = row["kind"] as string;
  const { [CONTENT_TYPE]: type, ...headers } = JSON.parse(row["headers"] as string) as Record<string, string>;
  // One that the user chose is the receiver's; the other two are ours, by what was sent.
  const isOurs = type === "application/json" || type === "application/octet-stream";
  const own = isOurs || type === undefined ? headers : { [CONTENT_TYPE]: type, ...headers };
  const secret = row["secret"] as string | null;
  const settings: JsonObject =
    carrier === "slack" ? { url } : { url, headers: own, ...(secret === null ? {} : { secret }) };
  const receiver = receiverOf(carrier, URL.canParse(url) ? new URL(url).origin : "?", settings, keyedHash);
  const delivery: Delivery = {
    id: row["id"] as string,
    receiver: receiver.key,
    rule: row["rule"] as string | null,
    things: JSON.parse(row["things"] as string) as string[],
    body: row["body"] as Uint8Array,
    fields: isOurs && carrier !== "slack" ? { [CONTENT_TYPE]: type } : {},
    offset: row["log_offset"] as number,
    createdAt: row["created_at"] as number,
    origin: null,
  };
  return { receiver, delivery };
}
