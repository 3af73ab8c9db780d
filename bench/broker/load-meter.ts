/** Counting of a load generator: frames as they come, and rates over the measured time. */
import { readFileSync } from "node:fs";
import type { Load } from "./load.ts";

const WARM_UP_MS = 1_000;

export const counted = { received: 0, acknowledged: 0, sent: 0 };

/**
 * PUBLISH packets of one length, in chunks of any. At QoS 0 they are counted by length, and the first of each chunk is
 * looked at: a frame out of step shows there. At QoS 1 each is looked at for its identifier.
 */
export class Frames {
  readonly #bytes: number;
  readonly #idAt: number;
  readonly #carry: Buffer;
  #kept = 0;

  /** `idAt`: where the packet identifier lies; negative at QoS 0. */
  constructor(bytes: number, idAt: number) {
    this.#bytes = bytes;
    this.#idAt = idAt;
    this.#carry = Buffer.alloc(bytes);
  }

  /** Returns the PUBACKs to send, or null. */
  take(chunk: Buffer): Buffer | null {
    const bytes = this.#bytes;
    const acknowledgements = this.#idAt < 0 ? null : Buffer.allocUnsafe((Math.floor(chunk.length / bytes) + 2) * 4);
    let filled = 0;
    let at = 0;
    if (this.#kept > 0) {
      at = Math.min(bytes - this.#kept, chunk.length);
      chunk.copy(this.#carry, this.#kept, 0, at);
      this.#kept += at;
      if (this.#kept < bytes) return null;
      this.#kept = 0;
      this.#count(this.#carry, 0, acknowledgements, filled++);
    }
    if (acknowledgements === null) at += this.#countAll(chunk, at);
    else for (; at + bytes <= chunk.length; at += bytes) this.#count(chunk, at, acknowledgements, filled++);
    this.#kept = chunk.length - at;
    if (this.#kept > 0) chunk.copy(this.#carry, 0, at);
    return acknowledgements === null || filled === 0 ? null : acknowledgements.subarray(0, filled * 4);
  }

  /** Returns how many bytes they are. */
  #countAll(from: Buffer, at: number): number {
    const whole = Math.floor((from.length - at) / this.#bytes);
    if (whole > 0) this.#count(from, at, null, 0);
    counted.received += Math.max(0, whole - 1);
    return whole * this.#bytes;
  }

  #count(from: Buffer, at: number, acknowledgements: Buffer | null, n: number): void {
    if ((from[at]! & 0xf0) !== 0x30) throw new Error(`not a PUBLISH: ${from[at]}`);
    counted.received++;
    if (acknowledgements === null) return;
    acknowledgements[n * 4] = 0x40;
    acknowledgements[n * 4 + 1] = 2;
    acknowledgements[n * 4 + 2] = from[at + this.#idAt]!;
    acknowledgements[n * 4 + 3] = from[at + this.#idAt + 1]!;
  }
}

/** Seconds that this process stood ready while others had its core: what tells a disturbed run. */
function waitedSeconds(): number {
  return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]) / 1e9;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Rates over so many seconds after the warm-up, while the load goes on. */
export async function measured(seconds: number): Promise<Load> {
  await pause(WARM_UP_MS);
  const from = { ...counted };
  const startedAt = performance.now();
  const cpuFrom = process.cpuUsage();
  const waitedFrom = waitedSeconds();
  await pause(seconds * 1000);
  const span = (performance.now() - startedAt) / 1000;
  const cpu = process.cpuUsage(cpuFrom);
  const rate = (key: keyof typeof counted): number => Math.round((counted[key] - from[key]) / span);
  return {
    received: rate("received"),
    acknowledged: rate("acknowledged"),
    sent: rate("sent"),
    receivedInAll: counted.received,
    generatorCpu: Math.round((cpu.user + cpu.system) / 10_000 / span),
    generatorWaited: Math.round(((waitedSeconds() - waitedFrom) / span) * 100),
  };
}
