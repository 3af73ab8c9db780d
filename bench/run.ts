/**
 * `npm run bench`: what Tidewire as a whole claims, measured on this machine, as one table; the broker has `npm run
 * bench:broker`. `npm run bench -- latency` measures one part; parts: latency, ready, memory, sessions, clone. Writes nothing;
 * `bench/README.md` keeps the results.
 */
import { parseArgs } from "node:util";
import { clone } from "./clone.ts";
import { memory, readiness } from "./footprint.ts";
import { latency } from "./latency.ts";
import { machine } from "./machine.ts";
import { tableOf } from "./report.ts";
import type { Row } from "./report.ts";
import { sessions } from "./sessions.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Of each part; without it, each part's own number. */
    runs: { type: "string" },
    /** Measured time of one run of latency. */
    seconds: { type: "string", default: "5" },
    "memory-after": { type: "string", default: "60" },
    sessions: { type: "string", default: "200000" },
    retained: { type: "string", default: "1000000" },
  },
});

const seconds = Number(values.seconds);
const runs = (otherwise: number): number => Number(values.runs ?? otherwise);
const PARTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  latency: () => latency({ runs: runs(5), seconds, rate: 1000 }),
  ready: () => readiness(runs(5)),
  memory: () => memory(runs(2), Number(values["memory-after"])),
  sessions: () =>
    sessions({
      runs: runs(3),
      sessions: Number(values.sessions),
      retained: Number(values.retained),
      queued: 10_000,
    }),
  clone: () => clone(runs(1)),
};

const wanted = positionals.length === 0 ? Object.keys(PARTS) : positionals;
const unknown = wanted.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`No such part: ${unknown.join(", ")}. Parts: ${Object.keys(PARTS).join(", ")}\n`);
  process.exit(2);
}
const before = machine();
const rows: Row[] = [];
for (const name of wanted) rows.push(...(await PARTS[name]!()));
process.stdout.write(`${tableOf(rows)}\n\n`);
process.stdout.write(`before: ${before}; after: ${machine()}\n`);
