/**
 * `npm run bench:storage`: what Tidewire's memory claims, beside InfluxDB, VictoriaMetrics and PostgreSQL on the same
 * data in the same run. Names behind `--` choose parts: log, peers, visible. Writes nothing; `bench/README.md`
 * keeps the results.
 */
import { execFileSync } from "node:child_process";
import { readCommandLine } from "../../tools/options.ts";
import { runParts } from "../parts.ts";
import type { Parts } from "../parts.ts";
import { CLIENT_CORE } from "../processes.ts";
import { logAppend } from "./log-append.ts";
import { peers } from "./peers.ts";
import { visible } from "./visible.ts";

const PARTS: Parts = {
  log: () => logAppend(values.runs),
  peers: () => {
    const { runs, devices, samples, asked, stores } = values;
    return peers({ runs, devices, samples, asked, stores: stores.split(",") });
  },
  visible: () => visible({ runs: values.runs, pointsPerSecond: values.rate, seconds: values.seconds }),
};

const { values, names } = readCommandLine(
  "bench:storage",
  {
    runs: 3,
    devices: 1000,
    samples: 1000,
    /** Times that each query is asked (ten times as many of one series); the first of each is not counted. */
    asked: 21,
    /** Points per second while it is looked how soon one is visible: half of what `peers` measures. */
    rate: 200_000,
    /** Those of `peers`. */
    stores: "tidewire,influxdb,victoria,postgresql",
    seconds: 30,
  },
  { known: Object.keys(PARTS), atLeastOne: ["runs"] },
);
execFileSync("taskset", ["-acp", CLIENT_CORE, String(process.pid)], { stdio: "ignore" }); // the servers have the other core
await runParts(PARTS, names);
