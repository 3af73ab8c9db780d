/** Any order of messages, answers, saves, crashes and changes: what a rule is owed is done once it is saved, in order, and nothing is left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SimClock, SimLogger, SimMetrics, settle } from "../../../sim/world.ts";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import { LIMITS } from "../../base/mod.ts";
import type { JsonValue, Message } from "../../base/mod.ts";
import { compileSql } from "../../sql/mod.ts";
import { MessageInput } from "../input.ts";
import { messageOf } from "../rules.fixture.ts";
import { AskingRules } from "./asking.ts";
import type { LogReading, OwedMessages } from "./asking.ts";
import type { Line } from "./line.ts";

const limits = { ...LIMITS.answers, waitingPerRuleMax: 4, inflightPerRuleMax: 2, waitingMax: 5, readersMax: 1 };
const RULES = ["a", "b"] as const;
/** Every third message matches nothing, so that some need no answer. */
const SQL = "SELECT function('f', *) AS v FROM 't' WHERE n % 3 > 0";

class Disk {
  position = 0;
  readonly owed = new Map<string, number>();
  /** Done with, as it is on disk. */
  readonly done = new Map(RULES.map((rule) => [rule, new Set<number>()]));
}

class Life {
  readonly #log: readonly Message[];
  readonly #disk: Disk;
  readonly asking: AskingRules;
  readonly lines = new Map<string, Line>();
  #answers: ((value: JsonValue | undefined) => void)[] = [];
  /** Done with since the last save. */
  #done: (readonly [string, number])[] = [];
  #last = new Map<string, number>();
  position: number;
  isOver = false;

  constructor(log: readonly Message[], disk: Disk) {
    this.#log = log;
    this.#disk = disk;
    this.position = disk.position;
    this.asking = new AskingRules({
      scheduler: new SimClock(),
      logger: new SimLogger(),
      metrics: new SimMetrics(),
      limits,
      environment: {
        ...nodeSqlEnvironment(),
        external: () => new Promise((resolve) => this.#answers.push(resolve)),
      },
      position: () => this.position,
      wants: () => true,
      inputOf: (message) => new MessageInput(message),
      apply: (rule, offset) => {
        if (this.isOver) return;
        assert.ok(offset > (this.#last.get(rule) ?? -1), `${rule} is told of ${offset} in its turn`);
        this.#last.set(rule, offset);
        this.#done.push([rule, offset]);
      },
    });
    this.asking.start([...disk.owed].map(([rule, position]): OwedMessages => ({ rule, position })));
    for (const rule of RULES) this.put(rule);
    this.asking.follow((reading) => this.#read(reading));
  }

  /** A new version of it, too. */
  put(rule: string): void {
    const line = this.asking.put(
      { ruleName: rule, sql: compileSql(SQL), templates: null, expects: null },
      this.position,
    );
    this.lines.set(rule, line!);
  }

  /** The main consumer goes on by so many messages. */
  feed(count: number): void {
    for (const end = Math.min(this.#log.length, this.position + count); this.position < end;) {
      const offset = this.position++;
      const input = new MessageInput(this.#log[offset]!);
      for (const rule of RULES) this.lines.get(rule)!.feed(offset, input);
    }
  }

  answer(pick: number): void {
    const [resolve] = this.#answers.splice(pick % Math.max(1, this.#answers.length), 1);
    resolve?.("x");
  }

  get waits(): boolean {
    return this.#answers.length > 0;
  }

  save(): void {
    const oldest = this.asking.oldest();
    const changes = this.asking.changes(this.position);
    for (const { rule, position } of changes) {
      if (position === null) this.#disk.owed.delete(rule);
      else this.#disk.owed.set(rule, position);
    }
    this.#disk.position = this.position;
    for (const [rule, offset] of this.#done.splice(0)) this.#disk.done.get(rule as "a")!.add(offset);
    assert.ok((oldest ?? Infinity) <= Math.min(Infinity, ...this.#disk.owed.values()), "the log is kept for it");
    this.asking.saved(changes);
  }

  #read(reading: LogReading): () => void {
    const reader = { isOver: false };
    const run = async (): Promise<void> => {
      for (let next = reading.from; !reader.isOver && !this.isOver; next++) {
        while (next >= this.#log.length && !reader.isOver && !this.isOver) await new Promise((go) => setImmediate(go));
        if (reader.isOver || this.isOver) return;
        await reading.take(next, this.#log[next]!);
        await reading.passed(next + 1);
      }
    };
    void run();
    return () => (reader.isOver = true);
  }
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant("publish"), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("feed"), count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("answer"), count: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("save"), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("crash"), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("stop"), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("put"), count: fc.nat(1) }) },
);

test("messages, answers, saves, crashes, stops and new versions in any order: each message is done with, and in its turn", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const log: Message[] = [];
      const disk = new Disk();
      let life = new Life(log, disk);
      const begin = (): void => {
        life.isOver = true;
        life = new Life(log, disk);
      };
      try {
        for (const { type, count } of steps) {
          if (type === "publish") {
            for (let i = 0; i < count; i++) {
              log.push(messageOf("t", new TextEncoder().encode(`{"n":${log.length}}`), { receivedAt: log.length }));
            }
          } else if (type === "feed") life.feed(count);
          else if (type === "answer") life.answer(count);
          else if (type === "save") life.save();
          else if (type === "put") life.put(RULES[count]!);
          else {
            if (type === "stop") {
              life.asking.close();
              life.answer(0);
              await settle();
              life.feed(1);
              life.save();
            }
            begin();
          }
          await settle();
        }
        for (let i = 0; i < 1_000 && (life.position < log.length || life.waits || life.asking.oldest() !== null); i++) {
          life.feed(3);
          while (life.waits) life.answer(i);
          await settle();
          life.save();
        }
        for (const done of disk.done.values()) {
          assert.deepEqual(
            [...done].sort((a, b) => a - b),
            log.map((_, offset) => offset),
          );
        }
        assert.deepEqual([...disk.owed], []);
      } finally {
        life.isOver = true;
      }
    }),
    { numRuns: 150 },
  );
});
