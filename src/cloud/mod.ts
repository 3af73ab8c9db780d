/** The platform's front door, for the command line. */
export { PlatformConfigSchema } from "./config.ts";
export type { PlatformConfig } from "./config.ts";
export { startPlatform } from "./platform.ts";
export type { Platform, PlatformOptions, Ready } from "./platform.ts";
