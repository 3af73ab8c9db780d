/**
 * `npm run bench:broker`: the broker's numbers beside Mosquitto, NATS and Aedes, in one run and in turns, as one table.
 * `npm run bench:broker -- fan-out pairs` measures some. Writes nothing; `bench/README.md` keeps the results.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { tableOf } from "../report.ts";
import { DURABILITY } from "./targets.ts";
import { THROUGHPUT_NAMES, throughput } from "./throughput.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string", default: "3" }, seconds: { type: "string", default: "5" } },
});
const unknown = positionals.filter((name) => !THROUGHPUT_NAMES.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`No such part: ${unknown.join(", ")}. Parts: ${THROUGHPUT_NAMES.join(", ")}\n`);
  process.exit(2);
}
const before = machine();
const names = positionals.length === 0 ? THROUGHPUT_NAMES : positionals;
const rows = await throughput(names, { runs: Number(values.runs), seconds: Number(values.seconds) });
process.stdout.write(`${tableOf(rows)}\n\n`);
for (const [name, meaning] of Object.entries(DURABILITY)) {
  process.stdout.write(`${name}: acknowledged at QoS 1 means ${meaning}.\n`);
}
const nats = execFileSync("nats-server", ["--version"], {
  env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin` },
});
process.stdout.write(`${nats.toString().trim()}; before: ${before}; after: ${machine()}\n`);
