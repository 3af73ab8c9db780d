/** Another process that tries to open a store's file, and says with which code it failed. */
import { LIMITS, isTidewireError, mib } from "../../base/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { DEFAULT_RETENTION } from "../../telemetry/mod.ts";
import { systemScheduler } from "../system.ts";
import { DuckStore } from "./duck-store.ts";

try {
  const path = process.argv[2]!;
  await DuckStore.open({
    path,
    folder: `${path}.elsewhere`,
    memoryBytes: mib(64),
    clock: new SimClock(),
    logger: new SimLogger(),
    limits: LIMITS.telemetry,
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    scheduler: systemScheduler,
  });
  process.send?.("opened");
} catch (error) {
  process.send?.(isTidewireError(error) ? error.code : String(error));
}
process.disconnect();
