/**
 * `npm run bench:broker`: the broker's numbers beside Mosquitto, NATS and Aedes, in one run and in turns, as one table.
 * `npm run bench:broker -- fan-out pairs` measures some. Writes nothing; `bench/README.md` keeps the results.
 */
import { execFileSync } from "node:child_process";
import { readCommandLine } from "../../tools/options.ts";
import { runParts } from "../parts.ts";
import type { Parts } from "../parts.ts";
import { connections } from "./connections.ts";
import { halfLoad } from "./half-load.ts";
import { match } from "./match.ts";
import { overload } from "./overload.ts";
import { DURABILITY } from "./targets.ts";
import { THROUGHPUT_NAMES, throughput } from "./throughput.ts";

const PARTS: Parts = {
  ...Object.fromEntries(
    THROUGHPUT_NAMES.map((name) => [
      name,
      () => throughput(name, { runs: values.runs, seconds: values.seconds, brokerAlone: values["broker-alone"] }),
    ]),
  ),
  "half-load": () => halfLoad(values["half-load-seconds"], values.seconds),
  connections: () => connections(values.connections, values.reconnecting),
  match: () => match(values.runs),
  "overload-0": () => overload(values["overload-seconds"], 0),
  "overload-1": () => overload(values["overload-seconds"], 1),
};

const { values, names } = readCommandLine(
  "bench:broker",
  {
    runs: 3,
    /** Measured time of one run of throughput. */
    seconds: 5,
    "broker-alone": false,
    "half-load-seconds": 600,
    "overload-seconds": 300,
    /** Idle connections, and devices that come back after a restart. */
    connections: 8000,
    reconnecting: 10_000,
  },
  { known: Object.keys(PARTS), atLeastOne: ["runs"] },
);
await runParts(PARTS, names);
for (const [name, meaning] of Object.entries(DURABILITY)) {
  process.stdout.write(`${name}: acknowledged at QoS 1 means ${meaning}.\n`);
}
const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` };
const nats = execFileSync("nats-server", ["--version"], { env }).toString().trim();
process.stdout.write(`${nats}\n`);
process.exit(0);
