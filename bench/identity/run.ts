/**
 * `npm run bench:identity`: who may do what, who gets in and who is thrown out, as one table. Names behind `--` choose parts.
 * Writes nothing; `bench/README.md` keeps the results.
 */
import { parseArgs } from "node:util";
import { machine } from "../machine.ts";
import { tableOf } from "../report.ts";
import type { Row } from "../report.ts";
import { claims } from "./claims.ts";
import { fleet } from "./fleet.ts";
import { handshakes } from "./handshakes.ts";
import { policy } from "./policy.ts";
import { revocation } from "./revocation.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    /** Handshakes of one run. */
    handshakes: { type: "string", default: "3000" },
    /** Connected devices, and how many of them are revoked at once. */
    devices: { type: "string", default: "10000" },
    revoked: { type: "string", default: "1000" },
    things: { type: "string", default: "1000000" },
  },
});
const runs = Number(values.runs);
const PARTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  policy: () => policy(runs),
  handshakes: () => handshakes(runs, Number(values.handshakes)),
  revocation: () => revocation(Number(values.devices), Number(values.revoked)),
  claims: () => claims(Number(values.devices)),
  search: () => fleet(Number(values.things)),
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
process.stdout.write(`${tableOf(rows)}\n\nbefore: ${before}; after: ${machine()}\n`);
process.exit(0);
