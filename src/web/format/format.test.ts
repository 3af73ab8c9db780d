import assert from "node:assert/strict";
import { test } from "node:test";
import { fieldLabel, leafLabel, plural } from "./labels.ts";
import { formatAge, formatRemaining, formatTimeTicks } from "./time.ts";
import { formatDuration, formatTick, formatValue, unitFor, unitOf } from "./units.ts";

/** No-break spaces are right on the page and unreadable in a test. */
const plain = (text: string): string => text.replaceAll("\u00a0", " ");

test("a unit follows from the name, and only from what it says for certain", () => {
  assert.equal(unitOf("network.rxBytesPerSecond"), "bytes-per-second");
  assert.equal(unitOf("memory.used_bytes"), "bytes");
  assert.equal(unitOf("cpu.core13"), "percent");
  assert.equal(unitOf("temperature.celsius"), "celsius");
  assert.equal(unitOf("temperature"), "none");
  assert.equal(unitOf("score"), "none");
});

test("values are as long as one can read", () => {
  const cases: readonly (readonly [number, Parameters<typeof formatValue>[1], string])[] = [
    [34.249, "percent", "34.2%"],
    [0, "bytes", "0 B"],
    [1023, "bytes", "1.00 KiB"],
    [5 * 1024 ** 3, "bytes", "5.00 GiB"],
    [148_480, "bytes-per-second", "145 KiB/s"],
    [48.06, "celsius", "48.1 °C"],
    [-0.04, "celsius", "0.0 °C"],
    [12, "seconds", "12 s"],
    [93_784, "seconds", "1 d 2 h"],
    [1_234_567, "none", "1,234,567"],
    [0.123456, "none", "0.123"],
    [Number.NaN, "percent", "–"],
  ];
  for (const [value, unit, text] of cases) assert.equal(plain(formatValue(value, unit)), text);
});

test("ticks carry no more digits than their step", () => {
  assert.equal(formatTick(25, "percent", 25), "25%");
  assert.equal(plain(formatTick(65_536, "bytes-per-second", 65_536)), "64 KiB/s");
  assert.equal(formatTick(0.5, "none", 0.5), "0.5");
  assert.deepEqual(
    [2.5, 5, 7.5].map((tick) => formatTick(tick, "none", 2.5)),
    ["2.5", "5", "7.5"],
  );
  assert.equal(formatTick(1000, "none", 500), "1,000");
  assert.equal(formatTick(45, "celsius", 5), "45°");
});

test("spans and ages", () => {
  const hour = 3_600_000;
  assert.deepEqual(
    [45_000, 150_000, 12 * 60_000, 3 * hour + 1_200_000, 50 * hour].map((ms) => plain(formatDuration(ms))),
    ["45 s", "2 min 30 s", "12 min", "3 h 20 min", "2 d 2 h"],
  );
  assert.deepEqual(
    [-900, 1999, 12_000, 200_000, 5 * hour, 49 * hour].map((ms) => plain(formatAge(ms))),
    ["just now", "just now", "12 s ago", "3 min ago", "5 h ago", "2 d ago"],
  );
  assert.equal(plain(formatRemaining(364.9 * 24 * hour)), "in 364 d");
  assert.equal(plain(formatRemaining(-2 * hour)), "2 h ago");
});

test("a time axis names the day where it begins and seconds only where they differ", () => {
  const midnight = new Date(2026, 10, 22).getTime();
  assert.deepEqual(formatTimeTicks([midnight - 3_600_000, midnight, midnight + 3_600_000], 3_600_000), [
    "23:00",
    "22 Nov",
    "01:00",
  ]);
  assert.deepEqual(formatTimeTicks([midnight + 10_000, midnight + 20_000], 10_000), ["00:00:10", "00:00:20"]);
});

test("labels read as words", () => {
  assert.equal(fieldLabel("cpu.percent"), "CPU");
  assert.equal(fieldLabel("room.airPressure"), "Room air pressure");
  assert.equal(fieldLabel("tank.fillPercent"), "Tank fill");
  assert.equal(leafLabel("cpu.core7"), "Core 7");
  assert.equal(leafLabel("gateway.rssi"), "RSSI");
  assert.equal(plural(1, "thing"), "1 thing");
  assert.equal(plural(1204, "reading"), "1,204 readings");
});

test("what a schema says goes before what a name says; a unit that is known is set as always, any other behind the number", () => {
  assert.equal(unitFor("memory.used_bytes", undefined), "bytes");
  assert.equal(unitFor("t_percent", "°C"), "celsius");
  const bar = unitFor("pressure", "bar");
  assert.equal(plain(formatValue(4.25, bar)), "4.25 bar");
  assert.equal(plain(formatTick(4, bar, 0.5)), "4 bar");
});
