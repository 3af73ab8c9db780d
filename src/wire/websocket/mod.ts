/** WebSocket as MQTT uses it. */
export { CLOSE_CODE, FrameReader } from "./frame-reader.ts";
export type { FrameFault, FrameHandler } from "./frame-reader.ts";
export { binaryHeader, closeFrame, maskedFrame, pongFrame } from "./frame-writer.ts";
export { judgeUpgrade } from "./upgrade.ts";
export type { UpgradeRequest, UpgradeVerdict } from "./upgrade.ts";
