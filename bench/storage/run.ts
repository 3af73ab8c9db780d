/**
 * `npm run bench:storage`: what Tidewire's memory claims, beside InfluxDB, VictoriaMetrics and PostgreSQL on the same
 * data in the same run. Names behind `--` choose parts: log, peers, visible. Writes nothing; `bench/README.md`
 * keeps the results.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { CLIENT_CORE } from "../processes.ts";
import { tableOf } from "../report.ts";
import type { Row } from "../report.ts";
import { logAppend } from "./log-append.ts";
import { peers } from "./peers.ts";
import { visible } from "./visible.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    devices: { type: "string", default: "1000" },
    samples: { type: "string", default: "1000" },
    /** Times that each query is asked (ten times as many of one series); the first of each is not counted. */
    asked: { type: "string", default: "21" },
    /** Points per second while it is looked how soon one is visible: half of what `peers` measures. */
    rate: { type: "string", default: "200000" },
    /** Those of `peers`. */
    stores: { type: "string", default: "tidewire,influxdb,victoria,postgresql" },
    seconds: { type: "string", default: "30" },
  },
});
const [runs, devices, samples, asked] = [values.runs, values.devices, values.samples, values.asked].map(Number);
const PARTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  log: () => logAppend(runs!),
  peers: () =>
    peers({ runs: runs!, devices: devices!, samples: samples!, asked: asked!, stores: values.stores.split(",") }),
  visible: () => visible({ runs: runs!, pointsPerSecond: Number(values.rate), seconds: Number(values.seconds) }),
};

const wanted = positionals.length === 0 ? Object.keys(PARTS) : positionals;
const unknown = wanted.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`No such part: ${unknown.join(", ")}. Parts: ${Object.keys(PARTS).join(", ")}\n`);
  process.exit(2);
}
execFileSync("taskset", ["-acp", CLIENT_CORE, String(process.pid)], { stdio: "ignore" }); // the servers have the other core
const before = machine();
const rows: Row[] = [];
for (const name of wanted) rows.push(...(await PARTS[name]!()));
process.stdout.write(`${tableOf(rows)}\n\nbefore: ${before}; after: ${machine()}\n`);
