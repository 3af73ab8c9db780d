/**
 * A process that appends until it is killed. Writes one line per sync to standard output, `FROM BELOW`: these offsets are
 * promised. Record number n is `<n>:` and n % 700 times the letter x.
 */
import { writeSync } from "node:fs";
import { LIMITS } from "../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { Log } from "./log.ts";
import { realClock } from "./log.fixture.ts";

const [folder = "", seed = "0"] = process.argv.slice(2);
const log = await Log.open({
  directory: await openLogDirectory(folder),
  crc32: fileCrc32,
  clock: realClock,
  scheduler: realClock,
  random: new SimRandom(Number(seed)),
  logger: new SimLogger(),
  metrics: new SimMetrics(),
  limits: { ...LIMITS.log, segmentBytesMax: 1_000_000, groupBytesMax: 200_000, batchBytesMax: 60_000 },
});
// A synchronous write: a line that the parent has not seen is not promised, one that it has seen is.
const from = log.next;
log.onDurable((durable) => writeSync(1, `${from} ${durable}\n`));
for (;;) {
  const burst = 1 + Math.floor(Math.random() * 300);
  for (let i = 0; i < burst && log.status().pendingBytes < 1_000_000; i++) {
    const n = log.next;
    log.append(Buffer.from(`${n}:${"x".repeat(n % 700)}`));
  }
  await new Promise((resolve) => setImmediate(resolve));
}
