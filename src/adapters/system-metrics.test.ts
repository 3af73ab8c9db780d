import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, totalmem } from "node:os";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { SystemMetrics } from "./system-metrics.ts";

const LINUX = process.platform === "linux";

test("this very machine: plausible, and in agreement with what the system says", async () => {
  const metrics = new SystemMetrics({ disk: "/", monotonic: () => performance.now() });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { cpu, load, memory, disk, network, temperature, uptime } = metrics.read();
  for (const value of Object.values(cpu)) assert.ok(value >= 0 && value <= 100);
  assert.ok(Object.keys(cpu).length >= 1);
  assert.ok(Math.abs(load.m1 - loadavg()[0]!) < 0.5);
  assert.ok(Math.abs(memory.totalBytes - totalmem()) < 0.05 * totalmem());
  assert.ok(memory.usedBytes > 0 && memory.usedBytes < memory.totalBytes);
  assert.ok(disk !== undefined && disk.totalBytes > 0 && disk.percent >= 0 && disk.percent <= 100);
  if (temperature !== undefined) assert.ok(temperature.celsius > -60 && temperature.celsius < 150);
  if (LINUX) {
    assert.ok(Math.abs(uptime.seconds - Number.parseFloat(readFileSync("/proc/uptime", "utf8"))) <= 2);
    assert.ok(network !== undefined && network.rxBytes >= 0 && network.rxBytesPerSecond >= 0);
    const cores = readFileSync("/proc/stat", "utf8").match(/^cpu\d+ /gm)!;
    for (const core of cores) assert.ok(`core${core.slice(3).trim()}` in cpu, core);
  }
});

test("a busy process is seen", { skip: LINUX ? false : "counts ticks of /proc" }, () => {
  const metrics = new SystemMetrics({ disk: "/", monotonic: () => performance.now() });
  const end = performance.now() + 300;
  while (performance.now() < end);
  assert.ok(metrics.read().cpu["percent"]! > 0);
});

/** A machine made of files. */
class FakeMachine {
  readonly root = mkdtempSync(join(tmpdir(), "tidewire-proc-"));
  now = 0;

  write(path: string, text: string): this {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return this;
  }

  metrics(): SystemMetrics {
    const { root } = this;
    return new SystemMetrics({ disk: root, monotonic: () => this.now, proc: `${root}/proc`, sys: `${root}/sys` });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const NETWORK_HEAD = "Inter-|   Receive\n face |bytes\n";

function machine(): FakeMachine {
  return new FakeMachine()
    .write(
      "proc/stat",
      "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\nintr 1\n",
    )
    .write("proc/loadavg", "0.512 1.25 3.999 1/100 42\n")
    .write("proc/meminfo", "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n")
    .write(
      "proc/net/dev",
      `${NETWORK_HEAD}    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n docker0:7777 1 0 0 0 0 0 0 7777 1 0 0 0 0 0 0\n`,
    )
    .write("proc/uptime", "12345.67 9999.99\n")
    .write("sys/class/net/eth0/device/vendor", "0x1\n");
}

test("rates are of the time since the reading before; rounded as a human reads them", () => {
  const fake = machine();
  const metrics = fake.metrics();
  fake
    .write(
      "proc/stat",
      "cpu  150 0 133 1017 0 0 0 0 0 0\ncpu0 100 0 50 450 0 0 0 0 0 0\ncpu1 50 0 50 500 0 0 0 0 0 0\n",
    )
    .write(
      "proc/net/dev",
      `${NETWORK_HEAD}    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  eth0: 4000 1 0 0 0 0 0 0 1500 1 0 0 0 0 0 0\n docker0:8888 1 0 0 0 0 0 0 8888 1 0 0 0 0 0 0\n`,
    );
  fake.now = 2000;
  const reading = metrics.read();
  assert.deepEqual(reading.cpu, { percent: 27.7, core0: 50, core1: 0 });
  assert.deepEqual(reading.load, { m1: 0.51, m5: 1.25, m15: 4 });
  assert.deepEqual(reading.memory, { percent: 75, usedBytes: 750 * 1024, totalBytes: 1000 * 1024 });
  assert.deepEqual(reading.network, { rxBytesPerSecond: 1500, txBytesPerSecond: 500, rxBytes: 4000, txBytes: 1500 });
  assert.deepEqual(reading.uptime, { seconds: 12_345 });
  assert.equal("temperature" in reading, false, "no sensor, no field");
  assert.deepEqual(Object.keys(reading), ["cpu", "load", "memory", "disk", "network", "uptime"]);
  fake.remove();
});

test("interfaces without hardware count only where there is nothing else, as in a container", () => {
  const fake = machine();
  rmSync(join(fake.root, "sys"), { recursive: true });
  assert.equal(fake.metrics().read().network?.rxBytes, 8777);
  fake.remove();
});

test("counts that start anew make no negative rate", () => {
  const fake = machine();
  const metrics = fake.metrics();
  fake.write("proc/net/dev", `${NETWORK_HEAD}  eth0: 10 1 0 0 0 0 0 0 700 1 0 0 0 0 0 0\n`);
  fake.now = 1000;
  const { network } = metrics.read();
  assert.deepEqual([network?.rxBytesPerSecond, network?.txBytesPerSecond], [0, 200]);
  fake.remove();
});

test("the processor's sensor is preferred, the hottest of those; absurd values are ignored", () => {
  const fake = machine()
    .write("sys/class/thermal/thermal_zone0/type", "acpitz\n")
    .write("sys/class/thermal/thermal_zone0/temp", "90000\n")
    .write("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp\n")
    .write("sys/class/thermal/thermal_zone1/temp", "45678\n")
    .write("sys/class/hwmon/hwmon0/name", "coretemp\n")
    .write("sys/class/hwmon/hwmon0/temp1_input", "999999\n")
    .write("sys/class/hwmon/hwmon0/temp2_input", "47120\n");
  assert.deepEqual(fake.metrics().read().temperature, { celsius: 47.1 });
  fake.remove();
});

test("a core that goes offline and files that vanish cost their fields, not the reading", () => {
  const fake = machine();
  const metrics = fake.metrics();
  fake.write("proc/stat", "cpu  150 0 150 1000 0 0 0 0 0 0\ncpu0 100 0 50 450 0 0 0 0 0 0\n");
  rmSync(join(fake.root, "proc/net/dev"));
  fake.now = 1000;
  const reading = metrics.read();
  assert.deepEqual(Object.keys(reading.cpu), ["percent", "core0"]);
  assert.equal("network" in reading, false);
  fake.remove();
  assert.equal("disk" in metrics.read(), false);
});
