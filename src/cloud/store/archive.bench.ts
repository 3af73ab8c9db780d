/**
 * What archiving costs: CPU seconds and bytes on disk per million messages. Readings of 1,000 devices, half of them with an
 * agent's stamp; the log is in memory. `node src/cloud/store/archive.bench.ts [messages]`
 */
import { SimRandom } from "../../../sim/world.ts";
import { ArchiveWorld, START, event } from "./archive.fixture.ts";

const total = Number(process.argv[2] ?? 1_000_000);
const DISTINCT = 100_000;
/** The compiler's work is not the archive's. */
const WARM_UP = 200_000;
const STAMPED = process.argv[3] !== "plain";

const random = new SimRandom(7);
const world = await ArchiveWorld.make();
const text = new TextEncoder();
for (let n = 0; n < DISTINCT; n++) {
  const device = Math.floor(random.next() * 1_000);
  const reading = {
    temperature: Math.round(200 + random.next() * 100) / 10,
    pressure: Math.round(10_000 + random.next() * 300) / 10,
    vibration: Math.round(random.next() * 1000) / 1000,
    state: random.next() < 0.9 ? "running" : "idle",
    time: START + n * 10,
  };
  const stamp = { userProperties: [["tw-outbox", `o${device}`] as const, ["tw-seq", String(n + 1)] as const] };
  world.log.append(
    event(n, {
      topic: `telemetry/device-${device}/press`,
      clientId: `device-${device}`,
      thing: `device-${device}`,
      payload: text.encode(JSON.stringify(reading)),
      receivedAt: START + n * 10,
      properties: STAMPED && device % 2 === 0 ? stamp : null,
    }),
  );
}
const records = world.log.records;
while (records.length < total) records.push(...records.slice(0, Math.min(DISTINCT, total - records.length)));

world.log.batch = 2_000;
await world.open({ limits: { flushTimeout: 600_000 } });
world.archive.durable(WARM_UP);
await world.archive.flush();
const start = world.archive.progress().counters.messages;
const before = process.cpuUsage();
const startedAt = process.hrtime.bigint();
await world.flush();
const { user, system } = process.cpuUsage(before);
const elapsed = Number(process.hrtime.bigint() - startedAt) / 1e9;
const { counters, files } = world.archive.progress();
const cpu = (user + system) / 1e6;
process.stdout.write(
  `${counters.messages} messages in ${counters.steps} steps, ${files} files: ${((cpu / (total - start)) * 1e6).toFixed(2)} CPU seconds per million, ` +
    `${elapsed.toFixed(1)} s; ${(counters.bytesTaken / total).toFixed(0)} bytes in the log, ${(counters.bytesWritten / total).toFixed(1)} in the archive\n`,
);
const merging = process.cpuUsage();
await world.archive.tidy();
const merged = process.cpuUsage(merging);
const after = world.archive.progress();
process.stdout.write(
  `merged to ${after.files} files: ${(((merged.user + merged.system) / 1e6 / total) * 1e6).toFixed(2)} CPU seconds per million, ${(after.warmBytes / total).toFixed(1)} bytes\n`,
);
await world.end();
