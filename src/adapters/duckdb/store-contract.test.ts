import { telemetryStoreContract } from "../../telemetry/store.contract.ts";
import { StoreFolder } from "./store.scenario.ts";

telemetryStoreContract("DuckDB", async () => {
  const folder = await StoreFolder.make();
  return { open: () => folder.open(), remove: () => folder.remove() };
});
