/**
 * `npm run bench:identity`: who may do what, who gets in and who is thrown out, as one table. Names behind `--` choose parts.
 * Writes nothing; `bench/README.md` keeps the results.
 */
import { readCommandLine } from "../../tools/options.ts";
import { runParts } from "../parts.ts";
import type { Parts } from "../parts.ts";
import { claims } from "./claims.ts";
import { fleet } from "./fleet.ts";
import { handshakes } from "./handshakes.ts";
import { policy } from "./policy.ts";
import { revocation } from "./revocation.ts";

const PARTS: Parts = {
  policy: () => policy(values.runs),
  handshakes: () => handshakes(values.runs, values.handshakes),
  revocation: () => revocation(values.devices, values.revoked),
  claims: () => claims(values.devices),
  search: () => fleet(values.things),
};

const { values, names } = readCommandLine(
  "bench:identity",
  {
    runs: 3,
    /** Handshakes of one run. */
    handshakes: 3000,
    /** Connected devices, and how many of them are revoked at once. */
    devices: 10_000,
    revoked: 1000,
    things: 1_000_000,
  },
  { known: Object.keys(PARTS), atLeastOne: ["runs"] },
);
await runParts(PARTS, names);
process.exit(0);
