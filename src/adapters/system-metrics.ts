/**
 * This machine's own numbers. Linux: `/proc` and `/sys`, see proc(5); other systems: what Node knows, without network and
 * temperature. Reading takes well under a millisecond and never blocks on a device.
 */
import { readFileSync, readdirSync, statfsSync } from "node:fs";
import { cpus, freemem, loadavg, totalmem, uptime } from "node:os";
import type { Bytes, Millis } from "../base/mod.ts";

export interface SystemReading {
  /** Busy share since the reading before, 0 … 100: `percent` over all cores, then `core0`, `core1` … */
  readonly cpu: Readonly<Record<string, number>>;
  readonly load: { readonly m1: number; readonly m5: number; readonly m15: number };
  /** Used: total minus what a new program could get (MemAvailable). */
  readonly memory: Usage;
  /** Percent as `df` has it: of what an ordinary user can fill. Absent while the path cannot be looked at. */
  readonly disk?: Usage;
  /** All interfaces that have hardware behind them; without such, all but loopback. */
  readonly network?: {
    readonly rxBytesPerSecond: number;
    readonly txBytesPerSecond: number;
    readonly rxBytes: Bytes;
    readonly txBytes: Bytes;
  };
  /** The processor's, else the hottest sensor. */
  readonly temperature?: { readonly celsius: number };
  readonly uptime: { readonly seconds: number };
}

export interface Usage {
  readonly percent: number;
  readonly usedBytes: Bytes;
  readonly totalBytes: Bytes;
}

export interface SystemMetricsOptions {
  /** A path on the file system to report. */
  readonly disk: string;
  readonly monotonic: () => Millis;
  /** Roots for tests. */
  readonly proc?: string;
  readonly sys?: string;
}

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

interface NetworkCounts {
  readonly rx: number;
  readonly tx: number;
}

/** Interfaces and sensors come and go seldom; they are looked for every so many readings. */
const LOOK_AGAIN_AFTER = 60;

export class SystemMetrics {
  readonly #options: SystemMetricsOptions;
  readonly #proc: string;
  readonly #sys: string;
  readonly #linux: boolean;
  #cpu: ReadonlyMap<string, CpuTimes>;
  #network: NetworkCounts | null;
  #readAt: Millis;
  #interfaces: ReadonlySet<string> | null = null;
  #sensors: readonly string[] = [];
  #untilLook = 0;

  /** Takes the first counts: the first reading's rates are those since now. */
  constructor(options: SystemMetricsOptions) {
    this.#options = options;
    this.#proc = options.proc ?? "/proc";
    this.#sys = options.sys ?? "/sys";
    this.#linux = tryRead(`${this.#proc}/stat`) !== null;
    this.#look();
    this.#cpu = this.#cpuTimes();
    this.#network = this.#networkCounts();
    this.#readAt = options.monotonic();
  }

  read(): SystemReading {
    if (--this.#untilLook <= 0) this.#look();
    const now = this.#options.monotonic();
    const span = (now - this.#readAt) / 1000;
    this.#readAt = now;
    const network = this.#networkReading(span);
    const disk = diskUsage(this.#options.disk);
    const celsius = this.#temperature();
    const [m1 = 0, m5 = 0, m15 = 0] = this.#load();
    return {
      cpu: this.#cpuReading(),
      load: { m1: round(m1, 2), m5: round(m5, 2), m15: round(m15, 2) },
      memory: this.#memory(),
      ...(disk === null ? {} : { disk }),
      ...(network === null ? {} : { network }),
      ...(celsius === null ? {} : { temperature: { celsius } }),
      uptime: { seconds: this.#uptime() },
    };
  }

  #look(): void {
    this.#untilLook = LOOK_AGAIN_AFTER;
    if (!this.#linux) return;
    this.#interfaces = hardwareInterfaces(this.#sys);
    this.#sensors = temperatureSensors(this.#sys);
  }

  #cpuTimes(): ReadonlyMap<string, CpuTimes> {
    return this.#linux ? linuxCpuTimes(tryRead(`${this.#proc}/stat`) ?? "") : nodeCpuTimes();
  }

  #cpuReading(): Record<string, number> {
    const before = this.#cpu;
    this.#cpu = this.#cpuTimes();
    const reading: Record<string, number> = {};
    for (const [name, times] of this.#cpu) {
      const last = before.get(name);
      const total = times.total - (last?.total ?? 0);
      // A core that came up just now, or too short a time for the kernel's ticks: no number is better than a wrong one.
      if (last === undefined || total <= 0) continue;
      reading[name] = percentOf(times.busy - last.busy, total);
    }
    return reading;
  }

  #load(): readonly number[] {
    const text = this.#linux ? tryRead(`${this.#proc}/loadavg`) : null;
    return text === null ? loadavg() : text.split(" ").slice(0, 3).map(Number);
  }

  #memory(): Usage {
    const text = this.#linux ? tryRead(`${this.#proc}/meminfo`) : null;
    const total = text === null ? totalmem() : kibField(text, "MemTotal");
    const available = text === null ? freemem() : kibField(text, "MemAvailable");
    return usage(total - available, total, total);
  }

  #networkCounts(): NetworkCounts | null {
    const text = this.#linux ? tryRead(`${this.#proc}/net/dev`) : null;
    return text === null ? null : sumInterfaces(text, this.#interfaces);
  }

  #networkReading(span: number): Required<SystemReading>["network"] | null {
    const before = this.#network;
    const now = this.#networkCounts();
    this.#network = now;
    if (now === null) return null;
    // An interface that went away takes its counts along; that is no negative traffic.
    const rate = (from: number | undefined, to: number): number =>
      from === undefined || to < from || span <= 0 ? 0 : Math.round((to - from) / span);
    return {
      rxBytesPerSecond: rate(before?.rx, now.rx),
      txBytesPerSecond: rate(before?.tx, now.tx),
      rxBytes: now.rx,
      txBytes: now.tx,
    };
  }

  #temperature(): number | null {
    let hottest: number | null = null;
    for (const sensor of this.#sensors) {
      const milli = Number.parseInt(tryRead(sensor) ?? "", 10);
      // Broken sensors answer with absurd values; outside of this range nothing electronic works.
      if (!Number.isFinite(milli) || milli < -60_000 || milli > 150_000) continue;
      if (hottest === null || milli > hottest) hottest = milli;
    }
    return hottest === null ? null : round(hottest / 1000, 1);
  }

  #uptime(): number {
    const text = this.#linux ? tryRead(`${this.#proc}/uptime`) : null;
    return Math.floor(text === null ? uptime() : Number.parseFloat(text));
  }
}

/** Lines `cpu  user nice system idle iowait irq softirq steal …` in ticks; guest time is contained in user. */
function linuxCpuTimes(text: string): ReadonlyMap<string, CpuTimes> {
  const times = new Map<string, CpuTimes>();
  for (const line of text.split("\n")) {
    const match = /^cpu(\d*) +(.*)$/.exec(line);
    if (match === null) continue;
    const ticks = match[2]!.split(" ").slice(0, 8).map(Number);
    const total = ticks.reduce((sum, n) => sum + n, 0);
    const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
    times.set(match[1] === "" ? "percent" : `core${match[1]}`, { busy: total - idle, total });
  }
  return times;
}

function nodeCpuTimes(): ReadonlyMap<string, CpuTimes> {
  const times = new Map<string, CpuTimes>([["percent", { busy: 0, total: 0 }]]);
  let all: CpuTimes = { busy: 0, total: 0 };
  cpus().forEach((core, index) => {
    const { user, nice, sys, irq, idle } = core.times;
    const busy = user + nice + sys + irq;
    times.set(`core${index}`, { busy, total: busy + idle });
    all = { busy: all.busy + busy, total: all.total + busy + idle };
  });
  return times.set("percent", all);
}

function kibField(text: string, name: string): Bytes {
  const match = new RegExp(`^${name}: +(\\d+) kB`, "m").exec(text);
  return match === null ? 0 : Number(match[1]) * 1024;
}

function diskUsage(path: string): Usage | null {
  try {
    const { bsize, blocks, bfree, bavail } = statfsSync(path);
    const used = (blocks - bfree) * bsize;
    return usage(used, used + bavail * bsize, blocks * bsize);
  } catch {
    return null; // unmounted at the moment
  }
}

function usage(used: Bytes, of: Bytes, total: Bytes): Usage {
  return { percent: percentOf(used, of), usedBytes: used, totalBytes: total };
}

/** `  eth0: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes …` */
function sumInterfaces(text: string, only: ReadonlySet<string> | null): NetworkCounts {
  let rx = 0;
  let tx = 0;
  for (const line of text.split("\n")) {
    const match = /^ *([^:]+): *(.*)$/.exec(line);
    if (match === null) continue;
    const name = match[1]!;
    if (only === null ? name === "lo" : !only.has(name)) continue;
    const counts = match[2]!.split(/ +/).map(Number);
    rx += counts[0] ?? 0;
    tx += counts[8] ?? 0;
  }
  return { rx, tx };
}

/** Bridges, tunnels and containers' interfaces would count the same bytes again. Null: no hardware is to be seen. */
function hardwareInterfaces(sys: string): ReadonlySet<string> | null {
  const names = tryList(`${sys}/class/net`).filter((name) => tryList(`${sys}/class/net/${name}/device`).length > 0);
  return names.length === 0 ? null : new Set(names);
}

/** Files that hold millidegrees: the processor's if one says so, else all. */
function temperatureSensors(sys: string): readonly string[] {
  const zones = tryList(`${sys}/class/thermal`)
    .filter((name) => name.startsWith("thermal_zone"))
    .map((name) => ({
      kind: (tryRead(`${sys}/class/thermal/${name}/type`) ?? "").trim(),
      path: `${sys}/class/thermal/${name}/temp`,
    }));
  const chips = tryList(`${sys}/class/hwmon`).flatMap((name) => {
    const folder = `${sys}/class/hwmon/${name}`;
    const kind = (tryRead(`${folder}/name`) ?? "").trim();
    return tryList(folder)
      .filter((file) => /^temp\d+_input$/.test(file))
      .map((file) => ({ kind, path: `${folder}/${file}` }));
  });
  const all = [...zones, ...chips];
  const processor = all.filter(({ kind }) => /cpu|pkg|soc|core|k10temp/i.test(kind));
  return (processor.length > 0 ? processor : all).map(({ path }) => path);
}

function percentOf(part: number, whole: number): number {
  if (whole <= 0) return 0;
  return round(Math.min(100, Math.max(0, (100 * part) / whole)), 1);
}

function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}

function tryRead(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

function tryList(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
