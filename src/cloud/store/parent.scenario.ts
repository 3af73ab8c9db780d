/** A platform that starts a store on the folder it is given, tells the store's process id, and waits to be killed. */
import { join } from "node:path";
import { LIMITS } from "../../base/mod.ts";
import { systemClock, systemRandom, systemScheduler } from "../../adapters/system.ts";
import { DEFAULT_RETENTION } from "../../telemetry/mod.ts";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { StoreClient } from "./client.ts";

const folder = process.argv[2]!;
const client = new StoreClient({
  databasePath: join(folder, "telemetry.duckdb"),
  logFolder: join(folder, "log"),
  limits: LIMITS,
  keeping: { retention: DEFAULT_RETENTION, room: { diskShare: 0.5 } },
  clock: systemClock,
  scheduler: systemScheduler,
  random: systemRandom,
  logger: new SimLogger(),
  metrics: new SimMetrics(),
});
await client.start();
process.send?.(client.status().pid);
