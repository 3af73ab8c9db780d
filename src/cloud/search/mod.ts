export { FleetSearch } from "./fleet-search.ts";
export type { FleetIndex, FleetSearchOptions } from "./fleet-search.ts";
