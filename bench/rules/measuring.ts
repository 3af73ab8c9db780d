/** What the parts of this bench measure with. */
import type { Message } from "../../src/base/mod.ts";

export const T0 = 1_767_225_600_000;

export function messageOf(topic: string, payload: Uint8Array, thing: string, receivedAt = T0): Message {
  return { topic, payload, qos: 0, retain: false, clientId: thing, thing, receivedAt, properties: null };
}

/** Calls `work(count)` until a second has passed; units per second of this process's processor time. */
export function perSecond(work: () => number): number {
  for (const begun = performance.now(); performance.now() - begun < 700;) work();
  let units = 0;
  const before = process.cpuUsage();
  for (const begun = performance.now(); performance.now() - begun < 1_500;) units += work();
  const { user, system } = process.cpuUsage(before);
  return units / ((user + system) / 1e6);
}

export function collected(): number {
  globalThis.gc!();
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
