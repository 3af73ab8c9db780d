/** What the rules' SQL needs of the machine: hashes and randomness. */
import { createHash, randomUUID } from "node:crypto";
import { ACCOUNT_ID } from "../base/mod.ts";
import type { SqlEnvironment } from "../sql/mod.ts";

export function nodeSqlEnvironment(accountId: string = ACCOUNT_ID): SqlEnvironment {
  return {
    accountId,
    random: () => Math.random(),
    newUuid: () => randomUUID(),
    hash: (name, bytes) => createHash(name).update(bytes).digest(),
  };
}
