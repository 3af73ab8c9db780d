/**
 * The rules: routing, evaluation and windows in one process on one core, through the runtime's own parts; and the way of a message
 * through a whole platform. `npm run bench:rules`; names behind `--` choose parts: `shared` `filter` `many` `idle` `tumble` `pause`
 * `back-test` `webhook` `node-red` (only where it is named); `--runs N` (default 3).
 */
import type { Message } from "../../src/base/mod.ts";
import type { RuleDocument } from "../../src/rules/mod.ts";
import { MessageInput } from "../../src/rules/input.ts";
import { RuleSet, compiledRule } from "../../src/rules/rule-set.ts";
import { readCommandLine } from "../../tools/options.ts";
import { runParts } from "../parts.ts";
import type { Parts } from "../parts.ts";
import { backTest } from "./back-test.ts";
import { T0, collected, messageOf, perSecond } from "./measuring.ts";
import { nodeRed } from "./node-red.ts";
import { closingPause, pause } from "./pause.ts";
import { tumble } from "./tumble.ts";
import { webhook } from "./webhook.ts";

const utf8 = new TextEncoder();

function ruleOf(n: number, sql: string): RuleDocument {
  const actions = [{ webhook: { url: `http://127.0.0.1/${n}` } }];
  return { ruleName: `r${n}`, sql, ruleDisabled: false, actions, createdAt: 0, fromOffset: 0 };
}

function ruleSet(sqls: Iterable<string>): RuleSet {
  const set = new RuleSet(["webhook"], (rule, sql) => compiledRule(rule, sql));
  let n = 0;
  for (const sql of sqls) set.put(ruleOf(n++, sql));
  return set;
}

/** 200 bytes, as a machine reports itself. */
function reading(n: number): Uint8Array {
  const text = JSON.stringify({
    ts: T0 + n,
    temperature: 20 + (n % 50) / 2,
    humidity: 40 + (n % 30),
    pressure: 1013.25,
    battery: { percent: n % 100, volts: 3.71 },
    status: "running",
    firmware: "1.4.2",
    location: { lat: 47.3769, lon: 8.5417 },
  });
  return utf8.encode(text.padEnd(200));
}

const PAYLOADS = Array.from({ length: 512 }, (_, n) => reading(n));

/** One message through a set: routed, parsed once, tested by every rule that wants it, selected where it matches. */
function evaluate(set: RuleSet, message: Message, topic: string): number {
  const rules = set.route(topic);
  const input = new MessageInput(message);
  for (const { sql } of rules) if (sql.test(input) === true) sql.select(input);
  return rules.length;
}

function* range(count: number, sqlOf: (n: number) => string): Iterable<string> {
  for (let n = 0; n < count; n++) yield sqlOf(n);
}

/** eKuiper's own test: 300 rules with a filter on one shared source. Each matches one message in 50. */
function shared(): number {
  const set = ruleSet(
    range(300, (n) => `SELECT temperature, humidity FROM 'demo' WHERE temperature > ${44 + (n % 2)}`),
  );
  return perSecond(() => {
    let done = 0;
    for (const payload of PAYLOADS) done += evaluate(set, messageOf("demo", payload, "d"), "demo");
    return done;
  });
}

function filter(): number {
  const set = ruleSet([
    "SELECT temperature, status FROM 'site/+/machine' WHERE temperature > 40 AND battery.percent < 50",
  ]);
  return perSecond(() => {
    for (let n = 0; n < PAYLOADS.length; n++) {
      const topic = `site/${n}/machine`;
      evaluate(set, messageOf(topic, PAYLOADS[n]!, "d"), topic);
    }
    return PAYLOADS.length;
  });
}

/** Each message is for one rule: 100 devices of as many rules, or of 10,000. Seconds per message, the larger by the smaller. */
function many(): number {
  const rate = (rules: number): number => {
    const set = ruleSet(range(rules, (n) => `SELECT temperature FROM 'site/${n}/+' WHERE temperature > 30`));
    const messages = PAYLOADS.map((payload, n) => messageOf(`site/${(n * 7919) % rules}/m${n % 5}`, payload, "d"));
    return perSecond(() => {
      for (const message of messages) evaluate(set, message, message.topic);
      return messages.length;
    });
  };
  return rate(100) / rate(10_000);
}

/** The same for topics that were never seen: the walk along the levels. */
function manyCold(): number {
  const rate = (rules: number): number => {
    const set = ruleSet(range(rules, (n) => `SELECT temperature FROM 'site/${n}/+' WHERE temperature > 30`));
    let seen = 0;
    return perSecond(() => {
      for (let n = 0; n < 512; n++) set.route(`site/${(n * 7919) % rules}/m${seen++}`);
      return 512;
    });
  };
  return rate(100) / rate(10_000);
}

/** Bytes of a rule that waits, its document and its routes included. */
function idle(): number {
  const before = collected();
  const sqlOf = (n: number): string =>
    `SELECT temperature, topic(2) AS d FROM 'site/${n}/+' WHERE temperature > ${n % 90}`;
  const set = ruleSet(range(10_000, sqlOf));
  const bytes = (collected() - before) / 10_000;
  if (set.size !== 10_000) throw new Error("the rules are gone");
  return bytes;
}

const times = (work: () => number): number[] => Array.from({ length: values.runs }, work);

const PARTS: Parts = {
  shared: async () => [
    {
      claim: "300 rules on one source, one core",
      unit: "evaluations/s",
      must: { atLeast: 1_000_000 },
      runs: times(shared),
    },
  ],
  filter: async () => [
    { claim: "one filter rule, 200-byte JSON parsed", unit: "msg/s", must: { atLeast: 400_000 }, runs: times(filter) },
  ],
  many: async () => [
    { claim: "10,000 rules against 100, as many matches", unit: "×", must: { below: 3 }, runs: times(many) },
    { claim: "… routing of topics never seen", unit: "×", must: null, runs: times(manyCold) },
  ],
  idle: async () => [
    { claim: "memory per idle rule, of 10,000", unit: "bytes", must: { below: 50_000 }, runs: times(idle) },
  ],
  tumble: async () => {
    const measured = Array.from({ length: values.runs }, tumble);
    const claim = "100,000 keys, TUMBLE, avg min max count";
    const [rates, bytes] = [measured.map((run) => run.rate), measured.map((run) => run.bytes)];
    return [
      { claim, unit: "msg/s", must: { atLeast: 200_000 }, runs: rates },
      { claim: "… memory per key", unit: "bytes", must: { below: 300 }, runs: bytes },
    ];
  },
  pause: async () => [await pause(values.runs), closingPause(values.runs)],
  "back-test": async () => [await backTest(values.runs)],
  webhook: () => webhook(values.runs),
  "node-red": () => nodeRed(values.runs),
};

const { values, names } = readCommandLine(
  "bench:rules",
  { runs: 3 },
  { known: Object.keys(PARTS), atLeastOne: ["runs"] },
);
/** It is installed from npm first. */
const onlyWhereNamed = "node-red";
await runParts(PARTS, names.length > 0 ? names : Object.keys(PARTS).filter((name) => name !== onlyWhereNamed));
