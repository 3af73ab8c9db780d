/** Services that answer `$aws/…` topics, and what the platform publishes there by itself. */
export { publishAuditCheckpoints } from "./audit-checkpoints.ts";
export { JustInTime } from "./just-in-time.ts";
export { publishLifeCycleEvents } from "./life-cycle-events.ts";
export type { LifeCycleEvents } from "./life-cycle-events.ts";
export { openProvisioning } from "./open-provisioning.ts";
export type { Provisioning, ProvisioningStores } from "./open-provisioning.ts";
export { provisioningService } from "./provisioning.ts";
export { checkInputName } from "./registration-input.ts";
export { SHADOW_ANSWERS, ShadowService, startShadows } from "./shadows.ts";
