/** A few connections for queries beside the writer's; a query that waits for one can be given up. */
import type { DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

export class ReaderPool {
  readonly #idle: DuckDBConnection[] = [];
  readonly #all: readonly DuckDBConnection[];
  readonly #waiting: ((connection: DuckDBConnection) => void)[] = [];

  private constructor(connections: readonly DuckDBConnection[]) {
    this.#all = connections;
    this.#idle.push(...connections);
  }

  static async open(instance: DuckDBInstance, size: number): Promise<ReaderPool> {
    const connections: DuckDBConnection[] = [];
    for (let i = 0; i < size; i++) connections.push(await instance.connect());
    return new ReaderPool(connections);
  }

  /** Runs `work` with a connection of its own; an aborted `signal` interrupts it inside DuckDB. */
  async use<T>(work: (connection: DuckDBConnection) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const connection = this.#idle.pop() ?? (await new Promise<DuckDBConnection>((go) => this.#waiting.push(go)));
    const interrupt = (): void => connection.interrupt();
    try {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", interrupt);
      const result = await work(connection);
      signal?.throwIfAborted(); // an interrupt between two statements interrupts nothing
      return result;
    } catch (error) {
      signal?.throwIfAborted(); // "INTERRUPT Error" becomes the signal's reason
      throw error;
    } finally {
      signal?.removeEventListener("abort", interrupt);
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(connection);
      else next(connection);
    }
  }

  close(): void {
    for (const connection of this.#all) connection.closeSync();
  }
}
