/** Statements that take seconds, beside commits and questions that must not. */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { DuckDBPendingResultState } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";

export interface Courtesy {
  /** Resolves when no commit is under way. */
  readonly betweenCommits: () => Promise<void>;
  /** More work waits: what is left of a statement is done without a rest. */
  readonly isLate: () => boolean;
}

/**
 * Runs a statement task by task (10 ms each, of 100,000 rows) on the thread that reads the log and answers, which between two of
 * them does what has come in. On a thread of its own it would take cores from commits and questions for as long as it takes.
 * The merge of a sort is one task: let it have no more than a million rows.
 */
export async function gently(connection: DuckDBConnection, sql: string, courtesy: Courtesy): Promise<number> {
  const statement = await connection.prepare(sql);
  try {
    const pending = statement.start();
    while (!courtesy.isLate()) {
      await courtesy.betweenCommits();
      if (pending.runTask() === DuckDBPendingResultState.RESULT_READY) break;
      await turnOfTheLoop();
    }
    const { rowsChanged } = await pending.getResult();
    return rowsChanged;
  } finally {
    statement.destroySync();
  }
}
