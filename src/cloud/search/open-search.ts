/** The platform's search: its index lies in the data folder, whatever holds the registry, because it is a view of this platform. */
import { join } from "node:path";
import { SearchLink } from "../../adapters/sqlite/search-link.ts";
import type { PlatformConfig } from "../config.ts";
import type { Foundation } from "../foundation.ts";
import type { Teardown } from "../teardown.ts";
import { FleetSearch } from "./fleet-search.ts";
import type { FleetSearchOptions } from "./fleet-search.ts";

export function openSearch(
  { data, registry }: Pick<PlatformConfig, "data" | "registry">,
  base: Pick<Foundation, "registry" | "presence" | "scheduler" | "logger" | "metrics">,
  shadows: FleetSearchOptions["shadows"],
  teardown: Teardown,
): FleetSearch {
  const index = new SearchLink({ path: join(data, "search.db"), logger: base.logger, metrics: base.metrics });
  teardown.add("search's thread", () => index.close());
  const search = new FleetSearch({ ...base, shadows, index, shared: registry !== "sqlite" });
  teardown.add("search", () => search.close());
  return search;
}
