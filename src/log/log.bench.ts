/**
 * Durable records per second: `node src/log/log.bench.ts [records] [bytes] [folder]`. Appends as fast as the log takes
 * them, in slices as large as what a loop turn reads from its sockets, and waits for the last one to be durable.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMITS, isRetryable } from "../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { Log } from "./mod.ts";

const SLICE = 2_000;

const [records = 3_000_000, bytes = 200] = process.argv.slice(2, 4).map(Number);
const root = await mkdtemp(join(process.argv[4] ?? tmpdir(), "tidewire-bench-"));

interface Run {
  readonly name: string;
  readonly consumers: number;
  readonly gathered: boolean;
}

const runs: readonly Run[] = [
  { name: "appends alone", consumers: 0, gathered: false },
  { name: "with two consumers", consumers: 2, gathered: false },
  { name: "encoded in place, two consumers", consumers: 2, gathered: true },
];

async function run(options: Run): Promise<void> {
  const path = join(root, options.name.replaceAll(" ", "-"));
  const metrics = new SimMetrics();
  const log = await Log.open({
    directory: await openLogDirectory(path),
    crc32: fileCrc32,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    scheduler: {
      after: (delay, task) => stopper(setTimeout(task, delay)),
      every: (period, task) => stopper(setInterval(task, period)),
      defer: (task) => void setImmediate(task),
    },
    random: new SimRandom(Date.now()),
    logger: new SimLogger(),
    metrics,
    limits: { ...LIMITS.log },
  });
  let seen = 0;
  let resume = (): void => {};
  log.onDurable(() => resume());
  for (let i = 0; i < options.consumers; i++) {
    log.consume(0, (batch) => batch.forEach((_offset, record) => (seen += record[0]!)));
  }
  const record = new Uint8Array(bytes).fill(1);
  const startedAt = performance.now();
  let refused = 0;
  for (let done = 0; done < records;) {
    try {
      for (let i = 0; i < SLICE && done < records; i++, done++) {
        if (options.gathered) {
          const at = log.reserve(bytes);
          log.buffer.fill(1, at, at + bytes);
          log.commit();
        } else log.append(record);
      }
    } catch (error) {
      if (!isRetryable(error)) throw error;
      refused++;
      await new Promise<void>((resolve) => (resume = resolve)); // what a broker does: it stops reading
      continue;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await log.flush();
  const elapsed = (performance.now() - startedAt) / 1000;
  while (seen < records * options.consumers) await new Promise((resolve) => setImmediate(resolve));
  const consumed = (performance.now() - startedAt) / 1000;
  const syncs = metrics.value("tidewire_log_syncs_total");
  const syncMs = (metrics.value("tidewire_log_sync_seconds_total") / syncs) * 1000;
  report(options.name, [
    `${Math.round(records / elapsed).toLocaleString("en")} records/s durable`,
    options.consumers > 0 ? `${Math.round(records / consumed).toLocaleString("en")} records/s consumed by each` : "",
    `${Math.round((records * bytes) / elapsed / 1e6)} MB/s`,
    `${syncs} syncs of ${syncMs.toFixed(2)} ms and ${Math.round(records / syncs)} records`,
    `${refused} turns held back`,
  ]);
  await log.close();
}

function stopper(timer: NodeJS.Timeout): () => void {
  return () => clearTimeout(timer);
}

function report(name: string, parts: readonly string[]): void {
  process.stdout.write(`${name}: ${parts.filter((part) => part !== "").join(", ")}\n`);
}

try {
  for (const one of runs) await run(one);
} finally {
  await rm(root, { recursive: true, force: true });
}
