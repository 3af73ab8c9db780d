/**
 * The fleet's index with a million things: p50 and p99 of each kind of question, and the event loop's delay beside 50 a second.
 * `node bench/identity/search.ts [things] [folder] [--json]`; a folder that has an index is used as it is.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { SearchLink } from "../../src/adapters/sqlite/search-link.ts";
import type { FleetPartChange, SearchAnswers, SearchRequest } from "../../src/registry/mod.ts";
import { SimLogger } from "../../sim/world.ts";

type PageRequest = Extract<SearchRequest, { ask: "page" }>;

const json = process.argv.includes("--json");
const [givenThings, kept] = process.argv.slice(2).filter((argument) => argument !== "--json");
const things = Number(givenThings ?? 1_000_000);
const folder = kept ?? mkdtempSync(join(tmpdir(), "search-bench-"));
mkdirSync(folder, { recursive: true });
const path = join(folder, "search.db");

/** Kinds, and the queries of each: drawn so that they find something. */
const KINDS: readonly (readonly [kind: string, query: (n: number) => string])[] = [
  ["name, exact", (n) => `thingName:${nameOf((n * 7919) % things)}`],
  ["name, prefix (100)", (n) => `thingName:${nameOf((n * 7919) % things).slice(0, -2)}*`],
  ["attribute, exact (0.1 %)", (n) => `attributes.site:site-${n % 1000}`],
  ["attribute, range (1 %)", (n) => `attributes.floor:[${n % 90} TO ${n % 90}]`],
  ["two attributes", (n) => `attributes.site:site-${n % 1000} attributes.floor:${n % 100}`],
  ["group and attribute", (n) => `thingGroupNames:group-${n % 50} attributes.floor<${10 + (n % 50)}`],
  ["connected (half)", () => "connectivity.connected:true"],
  ["shadow range (half)", () => "shadow.reported.battery>50"],
  ["shadow and connectivity", (n) => `shadow.reported.battery<${2 + (n % 5)} connectivity.connected:false`],
  ["OR of two", (n) => `attributes.site:(site-${n % 1000} OR site-${(n * 3) % 1000})`],
  ["NOT (half)", () => "NOT connectivity.connected:true"],
  ["any field", (n) => `site-${n % 1000}`],
  ["wildcard within (1 of 10 sites)", (n) => `attributes.site:s*-${n % 10}*`],
  ["wildcard before a name (10)", (n) => `thingName:*${nameOf((n * 7919) % things).slice(-5)}`],
  ["wildcard within names (0.4 %)", (n) => `thingName:*${100 + ((n * 37) % 900)}*`],
  ["… around two characters (1 %)", (n) => `thingName:*${10 + ((n * 37) % 90)}*${n % 10}`],
  ["wildcard within serials (0.1 %)", (n) => `attributes.serial:*${1000 + ((n * 7919) % 9000)}*`],
  ["wildcard within serials (6 %)", (n) => `attributes.serial:*${100 + ((n * 37) % 900)}* attributes.floor<${n % 100}`],
  ["… around two characters (7 %)", (n) => `attributes.serial:*${10 + (n % 90)}*`],
  ["one character (57 %)", (n) => `attributes.serial:*${n % 10}*`],
  ["two characters that nothing has", (n) => `thingName:*q${n % 10}*`],
  ["frequent, last by name", (n) => `thingName:*-${nameOf(things - 1).slice(6, 8)}*${n % 10}`],
  ["two patterns", (n) => `attributes.serial:*${10 + (n % 90)}* attributes.site:s*-${n % 10}*`],
  ["three digits and a word", (n) => `attributes.serial:*${100 + ((n * 37) % 900)}* thingTypeName:type-${n % 10}`],
  ["two digits and a narrow range", (n) => `attributes.serial:*${twoDigits(n)}* attributes.floor<${n % 4}`],
  ["two digits, range of 1 %", (n) => `attributes.serial:*${twoDigits(n)}* attributes.floor:[${n % 90} TO ${n % 90}]`],
  ["two digits, range of 10 %", (n) => `attributes.serial:*${twoDigits(n)}* attributes.floor<10`],
  ["three digits, range of 1 %", (n) => `attributes.serial:*${threeDigits(n)}* attributes.floor<1`],
  ["three digits, range of 3 %", (n) => `attributes.serial:*${threeDigits(n)}* attributes.floor<3`],
  ["three digits, range of 50 %", (n) => `attributes.serial:*${threeDigits(n)}* attributes.floor<50`],
  [
    "three digits, shadow (1 to 5 %)",
    (n) => `attributes.serial:*${threeDigits(n)}* shadow.reported.battery<${1 + (n % 5)}`,
  ],
  ["two ranges (10 %, 10 %)", () => "attributes.floor<10 shadow.reported.battery<10"],
  ["two ranges (3 %, 3 %)", () => "attributes.floor<3 shadow.reported.battery<3"],
  ["two digits, NOT connected", (n) => `attributes.serial:*${twoDigits(n)}* NOT connectivity.connected:true`],
  ["three digits, NOT a type", (n) => `attributes.serial:*${threeDigits(n)}* NOT thingTypeName:type-${n % 10}`],
  [
    "three digits OR a beginning",
    (n) => `attributes.serial:*${threeDigits(n)}* OR attributes.serial:s${twoDigits(n)}*9`,
  ],
  [
    "two digits, one of two types",
    (n) => `attributes.serial:*${twoDigits(n)}* thingTypeName:(type-${n % 10} OR type-${(n + 1) % 10})`,
  ],
  [
    "two digits, one of two ranges",
    (n) => `attributes.serial:*${twoDigits(n)}* (attributes.floor<2 OR attributes.floor>97)`,
  ],
  ["two digits, group", (n) => `attributes.serial:*${twoDigits(n)}* thingGroupNames:group-${n % 50}`],
  ["three digits, connected", (n) => `attributes.serial:*${threeDigits(n)}* connectivity.connected:true`],
  [
    "two digits, connected, 0 to 5 %",
    (n) => `attributes.serial:*${twoDigits(n)}* connectivity.connected:true attributes.floor<${n % 6}`,
  ],
  ["words that exclude each other", (n) => `thingTypeName:type-${n % 10} connectivity.connected:${n % 2 === 1}`],
  ["a word and ranges that do", () => "shadow.reported.battery<5 attributes.floor<5 thingTypeName:type-7"],
];

/** Of these, each page but the first goes on where the one before ended. */
const PAGED: readonly (readonly [kind: string, query: string])[] = [
  ["next pages: digits and range", "attributes.serial:*37* attributes.floor<10"],
  ["next pages: three digits", "attributes.serial:*373*"],
];

function twoDigits(n: number): string {
  return `${10 + (n % 90)}`;
}

function threeDigits(n: number): string {
  return `${100 + ((n * 37) % 900)}`;
}

function nameOf(n: number): string {
  return `thing-${String(n).padStart(7, "0")}`;
}

function partsOf(n: number): FleetPartChange[] {
  const thing = nameOf(n);
  const mixed = Math.imul(n, 2_654_435_761) >>> 0;
  return [
    {
      thing,
      part: "registry",
      body: {
        thingId: mixed.toString(16).padStart(8, "0"),
        thingTypeName: `type-${mixed % 10}`,
        billingGroupName: null,
        thingGroupNames: [`group-${mixed % 50}`],
        attributes: { site: `site-${mixed % 1000}`, floor: String(mixed % 100), serial: `s${mixed}` },
        version: 1,
      },
    },
    {
      thing,
      part: "connectivity",
      body: { connected: mixed % 2 === 0, timestamp: 1_700_000_000_000 + (mixed % 100_000), disconnectReason: null },
    },
    { thing, part: "shadow ", body: { reported: { battery: (mixed >>> 3) % 101 }, hasDelta: false, version: 1 } },
  ];
}

const print = (line: string): boolean => (json ? process.stderr : process.stdout).write(`${line}\n`);

const index = new SearchLink({ path, logger: new SimLogger() });
const ask = async <R extends SearchRequest>(request: R): Promise<SearchAnswers[R["ask"]]> =>
  (await index.ask({ order: "answer", request })) as SearchAnswers[R["ask"]];

const existed = existsSync(path) && (await index.ready) && (await ask({ ask: "page", query: "*" })).things.length > 0;
await index.ready;
if (!existed) {
  const begun = performance.now();
  for (let n = 0; n < things; n += 1_000) {
    const changes = Array.from({ length: Math.min(1_000, things - n) }, (_, at) => partsOf(n + at)).flat();
    await index.ask({ order: "put", changes });
  }
  await index.ask({ order: "complete", complete: true });
  const seconds = (performance.now() - begun) / 1000;
  const megabytes = statSync(path).size / 1e6;
  const cpu = process.cpuUsage();
  const busy = (cpu.user + cpu.system) / 1e6;
  print(
    `indexed ${things} things in ${seconds.toFixed(0)} s (${busy.toFixed(0)} s of processor time), ${megabytes.toFixed(0)} MB`,
  );
}

const measured: { kind: string; p50: number; p99: number; found: number }[] = [];
print("kind                              found  p50 ms  p99 ms");
for (const [kind, query] of KINDS) await measure(kind, (n) => ({ ask: "page", query: query(n), maxResults: 100 }));
for (const [kind, query] of PAGED) {
  await measure(kind, (_, nextToken) => ({ ask: "page", query, maxResults: 100, nextToken }));
}

async function measure(kind: string, request: (n: number, nextToken: string | null) => PageRequest): Promise<void> {
  const times: number[] = [];
  let found = 0;
  for (let [n, nextToken]: [number, string | null] = [0, null]; n < 200; n++) {
    const begun = performance.now();
    const page: SearchAnswers["page"] = await ask(request(n, nextToken));
    times.push(performance.now() - begun);
    found += page.things.length;
    nextToken = page.nextToken;
  }
  times.sort((a, b) => a - b);
  const [p50, p99] = [times[100]!, times[197]!];
  measured.push({ kind, p50, p99, found: found / 200 });
  print(
    `${kind.padEnd(32)} ${String(found / 200).padStart(6)} ${p50.toFixed(1).padStart(7)} ${p99.toFixed(1).padStart(7)}`,
  );
}

for (const query of [
  "connectivity.connected:true",
  "attributes.serial:*37*",
  "thingName:*37*5",
  "attributes.site:s*-3*",
]) {
  const begun = performance.now();
  const { count } = await ask({ ask: "count", query, within: 60_000 });
  print(`counted ${count} of ${query} in ${((performance.now() - begun) / 1000).toFixed(2)} s`);
}

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const under: Promise<unknown>[] = [];
for (let n = 0; n < 500; n++) {
  under.push(ask({ ask: "page", query: KINDS[n % KINDS.length]![1](n), maxResults: 100 }));
  await sleep(20);
}
await Promise.all(under);
delay.disable();
const [p99, worst] = [delay.percentile(99) / 1e6, delay.max / 1e6];
print(`event loop beside 50 searches/s: p99 ${p99.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`);
if (json) process.stdout.write(`${JSON.stringify(measured)}\n`);
await index.close();
if (kept === undefined) rmSync(folder, { recursive: true });
