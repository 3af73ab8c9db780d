export { FleetSearch } from "./fleet-search.ts";
export type { FleetIndex, FleetSearchOptions } from "./fleet-search.ts";
export { openSearch } from "./open-search.ts";
