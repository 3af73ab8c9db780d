export { Endpoints } from "./endpoints.ts";
export type { EndpointForm } from "./endpoints.ts";
export { Schedules } from "./schedules.ts";
