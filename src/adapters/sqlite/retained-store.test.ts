import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { retainedStoreContract } from "../../broker/retained-store.contract.ts";
import { SqliteBrokerState } from "./broker-state.ts";

retainedStoreContract("SQLite", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-retained-"));
  let state = new SqliteBrokerState(join(folder, "broker.db"));
  return {
    store: state.retained,
    reopen: () => {
      state.close();
      state = new SqliteBrokerState(join(folder, "broker.db"));
      return state.retained;
    },
    close: () => {
      state.close();
      rmSync(folder, { recursive: true });
    },
  };
});
