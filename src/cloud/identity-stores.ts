/** Where identity is kept: in files of the data folder, or in one database that platforms share. */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PostgresRegistryStore } from "../adapters/postgres/mod.ts";
import { parsePostgresUrl } from "../adapters/postgres/server-url.ts";
import type { OpenPeopleFile } from "../adapters/sqlite/people-store.ts";
import { openProvisioningFile } from "../adapters/sqlite/provisioning-store.ts";
import { openRegistry } from "../adapters/sqlite/registry-store.ts";
import { openRenewalsFile } from "../adapters/sqlite/succession-store.ts";
import type { Logger } from "../base/mod.ts";
import type { SuccessionStore } from "../identity/mod.ts";
import type { PresenceStore, RegistryStore, SharedPresence } from "../registry/mod.ts";
import type { PlatformConfig } from "./config.ts";
import { moveIdentity } from "./move-identity.ts";
import type { ProvisioningStores } from "./services/mod.ts";
import type { Teardown } from "./teardown.ts";

export interface IdentityStores {
  readonly registryStore: RegistryStore;
  /** In the data folder either way: each platform keeps its own connections. */
  readonly presenceStore: PresenceStore;
  /** Where it tells others of them; null where there are none. */
  readonly sharedPresence: SharedPresence | null;
  readonly successions: SuccessionStore;
  readonly provisioningStore: ProvisioningStores;
  /** Null where all is in the data folder. */
  readonly shared: PostgresRegistryStore | null;
}

/** What the files hold is taken along into a shared database that has nothing yet. Throws DATABASE_*. */
export async function openIdentityStores(
  { data, registry: wanted }: Pick<PlatformConfig, "data" | "registry">,
  people: OpenPeopleFile,
  logger: Logger,
  teardown: Teardown,
): Promise<IdentityStores> {
  const registry = openRegistry(join(data, "registry.db"), logger);
  teardown.add("registry", () => registry.close());
  const renewals = openRenewalsFile(join(data, "renewals.db"), logger);
  teardown.add("renewals' store", () => renewals.close());
  const provisioning = openProvisioningFile({ path: join(data, "provisioning.db"), logger });
  teardown.add("provisioning's store", () => provisioning.close());
  const shared = await openShared(wanted, logger, teardown);
  if (shared !== null) moveIdentity({ registry: registry.store, people, provisioning, renewals }, shared, logger);
  return {
    registryStore: shared ?? registry.store,
    presenceStore: registry.presence,
    sharedPresence: shared?.presenceOf(platformIn(data)) ?? null,
    successions: shared?.successions ?? renewals.successions,
    provisioningStore: shared?.provisioning ?? provisioning.store,
    shared,
  };
}

async function openShared(
  registry: PlatformConfig["registry"],
  logger: Logger,
  teardown: Teardown,
): Promise<PostgresRegistryStore | null> {
  if (registry === "sqlite") return null;
  const { PostgresRegistryStore: Store } = await import("../adapters/postgres/mod.ts");
  const store = await Store.open(parsePostgresUrl(registry), logger);
  teardown.add("shared registry", () => store.close());
  return store;
}

/** What this platform calls itself among those that share its registry: the data folder's own, as long as there is one. */
function platformIn(data: string): string {
  const path = join(data, "platform-id");
  if (!existsSync(path)) writeFileSync(path, `${randomUUID()}\n`, { mode: 0o600, flush: true });
  return readFileSync(path, "utf8").trim();
}
