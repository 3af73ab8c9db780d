export { MOVE_MEDIA_TYPE } from "./move-file.ts";
export { RuleMover } from "./rule-mover.ts";
export type { DepartureView, RuleMoverOptions } from "./rule-mover.ts";
