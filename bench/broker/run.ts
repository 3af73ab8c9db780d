/**
 * `npm run bench:broker`: the broker's numbers beside Mosquitto, NATS and Aedes, in one run and in turns, as one table.
 * `npm run bench:broker -- fan-out pairs` measures some. Writes nothing; `bench/README.md` keeps the results.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { tableOf } from "../report.ts";
import type { Row } from "../report.ts";
import { connections } from "./connections.ts";
import { halfLoad } from "./half-load.ts";
import { match } from "./match.ts";
import { overload } from "./overload.ts";
import { DURABILITY } from "./targets.ts";
import { THROUGHPUT_NAMES, throughput } from "./throughput.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    /** Measured time of one run of throughput. */
    seconds: { type: "string", default: "5" },
    "broker-alone": { type: "boolean", default: false },
    "half-load-seconds": { type: "string", default: "600" },
    "overload-seconds": { type: "string", default: "300" },
    /** Idle connections, and devices that come back after a restart. */
    connections: { type: "string", default: "8000" },
    reconnecting: { type: "string", default: "10000" },
  },
});
const runs = Number(values.runs);
const seconds = Number(values.seconds);
const PARTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  ...Object.fromEntries(
    THROUGHPUT_NAMES.map((name) => [
      name,
      () => throughput(name, { runs, seconds, brokerAlone: values["broker-alone"] }),
    ]),
  ),
  "half-load": () => halfLoad(Number(values["half-load-seconds"]), seconds),
  connections: () => connections(Number(values.connections), Number(values.reconnecting)),
  match: () => match(runs),
  "overload-0": () => overload(Number(values["overload-seconds"]), 0),
  "overload-1": () => overload(Number(values["overload-seconds"]), 1),
};

const names = positionals.length === 0 ? Object.keys(PARTS) : positionals;
const unknown = names.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`No such part: ${unknown.join(", ")}. Parts: ${Object.keys(PARTS).join(", ")}\n`);
  process.exit(2);
}
const before = machine();
const rows: Row[] = [];
for (const name of names) rows.push(...(await PARTS[name]!()));
process.stdout.write(`${tableOf(rows)}\n\n`);
for (const [name, meaning] of Object.entries(DURABILITY)) {
  process.stdout.write(`${name}: acknowledged at QoS 1 means ${meaning}.\n`);
}
const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
const nats = execFileSync("nats-server", ["--version"], { env }).toString().trim();
process.stdout.write(`${nats}; before: ${before}; after: ${machine()}\n`);
process.exit(0);
