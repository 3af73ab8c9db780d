/** Search behind the API in a test. */
import { systemScheduler } from "../../adapters/system.ts";
import { openSearch } from "../search/mod.ts";
import type { FleetSearch } from "../search/mod.ts";
import { Teardown } from "../teardown.ts";
import type { ApiPorts } from "./ports.ts";

type Open = Parameters<typeof openSearch>;

/** A thread for those tests only that search. Its time is real: a thread does not wait for simulated timers. */
export function lazySearch(folder: string, given: Omit<Open[1], "scheduler">, shadows: Open[2]) {
  const base = { ...given, scheduler: systemScheduler };
  const teardown = new Teardown();
  let search: FleetSearch | null = null;
  const ready = async (): Promise<FleetSearch> => {
    search ??= openSearch({ data: folder, registry: "sqlite" }, base, shadows, teardown);
    await search.started;
    return search;
  };
  const port: ApiPorts["search"] = {
    run: async (query, options) => (await ready()).run(query, options),
    aggregate: async (request) => (await ready()).aggregate(request),
    complete: () => search?.complete() ?? true,
  };
  return { port, close: () => teardown.run(null) };
}
