/**
 * Catching up: a real store process reads a real log of 20-field JSON readings and commits them.
 * Run: node src/cloud/store/ingest.bench.ts [thousand messages, default 150]
 */
import { Platform, START, message } from "./store.scenario.ts";

const MESSAGES = Number(process.argv[2] ?? 150) * 1000;
const platform = await Platform.make();
try {
  for (let n = 0; n < MESSAGES; n++) {
    const fields: Record<string, number> = {};
    for (let f = 0; f < 20; f++) fields[`field${f}`] = (n * (f + 1)) % 1000;
    const thing = `press-${n % 100}`;
    platform.append(
      message(
        { ts: START + n, system: fields },
        { thing, topic: `telemetry/${thing}/system`, sequence: Math.floor(n / 100) + 1 },
      ),
    );
    if (n % 2_000 === 0) await platform.log.flush();
  }
  await platform.log.flush();
  await platform.start();
  const startedAt = performance.now();
  await platform.stored();
  const seconds = (performance.now() - startedAt) / 1000;
  const { rows, lag } = platform.client.status();
  const perSecond = (count: number): string => Math.round(count / seconds).toLocaleString("en");
  process.stdout.write(`${perSecond(MESSAGES)} messages/s, ${perSecond(rows)} points/s, lag ${lag}\n`);
} finally {
  await platform.close();
}
