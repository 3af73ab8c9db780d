/** Stores of a test on one real server, each in a schema of its own. */
import { LIMITS } from "../../base/mod.ts";
import { SimClock, SimLogger, SimRandom } from "../../../sim/world.ts";
import type { StorePlace } from "../../telemetry/store.contract.ts";
import { systemScheduler } from "../system.ts";
import { PostgresStore } from "./postgres-store.ts";
import type { PostgresStoreOptions } from "./postgres-store.ts";
import type { PostgresServer } from "./server.fixture.ts";
import { parsePostgresUrl } from "./server-url.ts";

let schemas = 0;

export class StoreSchema implements StorePlace {
  readonly schema = `t${++schemas}`;
  readonly logger = new SimLogger();
  readonly clock = new SimClock();
  readonly #server: PostgresServer;
  readonly #open = new Set<PostgresStore>();

  constructor(server: PostgresServer) {
    this.#server = server;
  }

  async open(more: Partial<PostgresStoreOptions> = {}): Promise<PostgresStore> {
    const store = await PostgresStore.open({
      address: parsePostgresUrl(this.#server.url({ schema: this.schema })),
      limits: LIMITS.telemetry,
      keep: null,
      clock: this.clock,
      scheduler: systemScheduler,
      random: new SimRandom(1),
      logger: this.logger,
      ...more,
    });
    this.#open.add(store);
    return store;
  }

  async remove(): Promise<void> {
    for (const store of this.#open) await store.close();
  }
}
