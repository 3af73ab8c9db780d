import assert from "node:assert/strict";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { PostgresRegistryStore, parsePostgresUrl } from "../adapters/postgres/mod.ts";
import { PostgresServer, postgresMissing } from "../adapters/postgres/server.fixture.ts";
import { isTidewireError } from "../base/mod.ts";
import type { Clock } from "../base/mod.ts";

/** How two platforms on one PostgreSQL server are played. */
export class SharedServer {
  /** Why it cannot be here; false: it can. */
  readonly skip: string | false = postgresMissing() ?? false;
  #server: PostgresServer | null = null;
  readonly #stores: PostgresRegistryStore[] = [];
  #tenants = 0;

  async start(): Promise<void> {
    if (this.skip === false) this.#server = await PostgresServer.start();
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    await this.#server?.remove();
  }

  get url(): string {
    return this.#server!.url();
  }

  async openStore(tenant: string, logger = new SimLogger()): Promise<PostgresRegistryStore> {
    const store = await PostgresRegistryStore.open(parsePostgresUrl(this.url), logger, tenant);
    this.#stores.push(store);
    return store;
  }

  /** Two platforms on the same rows. */
  async pair<T>(open: (store: PostgresRegistryStore, n: number) => T): Promise<readonly [T, T]> {
    const tenant = `tenant-${++this.#tenants}`;
    return [open(await this.openStore(tenant), 1), open(await this.openStore(tenant), 2)];
  }
}

export async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 15_000 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.ok(what(), "waited in vain for half a minute");
}

export const is =
  (code: string) =>
  (error: unknown): boolean =>
    isTidewireError(error) && error.code === code;

export const portsAt = (clock: Clock, seed: number) => ({
  clock,
  random: new SimRandom(seed),
  logger: new SimLogger(),
  metrics: new SimMetrics(),
});
