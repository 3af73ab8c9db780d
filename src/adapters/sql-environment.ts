/** What the rules' SQL needs of the machine: hashes and randomness. */
import { createHash, randomUUID } from "node:crypto";
import type { SqlEnvironment } from "../sql/mod.ts";

/** There is one account, and its number says nothing. */
const ACCOUNT_ID = "000000000000";

export function nodeSqlEnvironment(accountId: string = ACCOUNT_ID): SqlEnvironment {
  return {
    accountId,
    random: () => Math.random(),
    newUuid: () => randomUUID(),
    hash: (name, bytes) => createHash(name).update(bytes).digest(),
  };
}
