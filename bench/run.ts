/**
 * `npm run bench`: what Tidewire as a whole claims, measured on this machine, as one table; the broker has `npm run
 * bench:broker`. `npm run bench -- latency` measures one part; parts: latency, ready, memory, sessions, clone. Writes nothing;
 * `bench/README.md` keeps the results.
 */
import { readCommandLine } from "../tools/options.ts";
import { clone } from "./clone.ts";
import { memory, readiness } from "./footprint.ts";
import { latency } from "./latency.ts";
import { runParts } from "./parts.ts";
import type { Parts } from "./parts.ts";
import { sessions } from "./sessions.ts";

const PARTS: Parts = {
  latency: () => latency({ runs: runs(5), seconds: values.seconds, rate: 1000 }),
  ready: () => readiness(runs(5)),
  memory: () => memory(runs(2), values["memory-after"]),
  sessions: () => sessions({ runs: runs(3), sessions: values.sessions, retained: values.retained, queued: 10_000 }),
  clone: () => clone(runs(1)),
};

const { values, names } = readCommandLine(
  "bench",
  {
    /** Of each part; 0: each part's own number. */
    runs: 0,
    /** Measured time of one run of latency. */
    seconds: 5,
    "memory-after": 60,
    sessions: 200_000,
    retained: 1_000_000,
  },
  { known: Object.keys(PARTS) },
);
const runs = (otherwise: number): number => values.runs || otherwise;
await runParts(PARTS, names);
