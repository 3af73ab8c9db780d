/** A machine's readings as the edge agent's `system` source sends them, invented but plausible. */
import { gib, kib, mib } from "../../src/base/mod.ts";
import type { EpochMs } from "../../src/base/mod.ts";
import { SimRandom } from "../../sim/world.ts";

export class Machine {
  readonly #random: SimRandom;
  readonly #cores: number[];
  #memory = 0.46;
  #load = 0.7;
  #rx = 40;
  #uptime = 273_600;

  constructor(seed: number, cores = 4) {
    this.#random = new SimRandom(seed);
    this.#cores = Array.from({ length: cores }, () => 12 + this.#random.next() * 10);
  }

  /** One reading, flattened into fields as the store does. */
  reading(at: EpochMs): Record<string, number> {
    const wave = Math.sin(at / 95_000) * 9 + Math.sin(at / 610_000) * 14;
    const burst = Math.sin(at / 240_000) > 0.93 ? 34 : 0;
    for (const [i, core] of this.#cores.entries()) {
      const target = 24 + wave + burst + (i === 0 ? 9 : 0);
      this.#cores[i] = clamp(core + (target - core) * 0.25 + this.#noise(11), 1, 100);
    }
    const cpu = this.#cores.reduce((sum, core) => sum + core, 0) / this.#cores.length;
    this.#load += (cpu / 26 - this.#load) * 0.05;
    this.#memory = clamp(this.#memory + this.#noise(0.004), 0.38, 0.66);
    this.#rx = clamp(this.#rx * (0.82 + this.#random.next() * 0.36) + this.#noise(6), 3, 900);
    this.#uptime++;
    const total = gib(7.7);
    const disk = gib(116);
    const diskShare = 0.413 + Math.sin(at / 3e7) * 0.01;
    return {
      "cpu.percent": round(cpu),
      ...Object.fromEntries(this.#cores.map((core, i) => [`cpu.core${i}`, round(core)])),
      "load.m1": round(this.#load, 2),
      "load.m5": round(this.#load * 0.9 + 0.06, 2),
      "load.m15": round(this.#load * 0.8 + 0.1, 2),
      "memory.percent": round(this.#memory * 100),
      "memory.usedBytes": Math.round(this.#memory * total),
      "memory.totalBytes": total,
      "disk.percent": round(diskShare * 100),
      "disk.usedBytes": Math.round(diskShare * disk),
      "disk.totalBytes": disk,
      "network.rxBytesPerSecond": Math.round(this.#rx * kib(1)),
      "network.txBytesPerSecond": Math.round(this.#rx * kib(0.34) + kib(4)),
      "network.rxBytes": mib(834),
      "network.txBytes": mib(211),
      "temperature.celsius": round(44 + cpu * 0.16 + this.#noise(0.3)),
      "uptime.seconds": this.#uptime,
    };
  }

  #noise(size: number): number {
    return (this.#random.next() - 0.5) * size;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function round(value: number, places = 1): number {
  return Number(value.toFixed(places));
}
