/** Windows that are closed a few at a time end as in one stretch, also where the process dies in between. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { SIM_EPOCH, SimClock, SimLogger, SimMetrics, SimRandom, settle, mortalScheduler } from "../../../sim/world.ts";
import { sealingWith } from "../../adapters/sealing.ts";
import { SqliteRulesStore } from "../../adapters/sqlite/rules-store.ts";
import { LIMITS, encodeUtf8 } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { HotRules } from "../hot-rules.ts";
import { HearsOnce, messageOf } from "../rules.fixture.ts";
import type { Closing } from "./closings.ts";
import { Run, T0, inputOf } from "./windows.fixture.ts";
import type { Reading } from "./windows.fixture.ts";

const SEALING = sealingWith(new Uint8Array(32).fill(4));
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tidewire-closings-"));
let stores = 0;

after(() => rmSync(folder, { recursive: true }));

const STATEMENTS: readonly string[] = [
  "SELECT topic(2) AS d, avg(x) AS a, count(*) AS n FROM 'a/#' GROUP BY topic(2), TUMBLE('5 s') LATENESS '2 s'",
  "SELECT first(x) AS f, last(x) AS l FROM 'a/#' GROUP BY thing(), HOP('12 s', '3 s') HAVING count(*) > 1",
  "SELECT median(x) AS m FROM 'a/#' GROUP BY thing(), SESSION('4 s', '20 s')",
  "SELECT x, topic(2) AS d FROM 'a/#' ABSENT FOR '6 s'",
  "SELECT x FROM 'a/#' WHERE x > 3 FOR '5 s'",
];

interface Step {
  readonly thing: string;
  readonly wait: number;
  readonly x: number;
  /** Whether time is told before, as it is where no message comes. */
  readonly ticks: boolean;
  /** The rules have not got to it when the next one comes: then no ticks tell them the time. */
  readonly lags: boolean;
  /** Windows of the next slices; 0: the process dies before it. */
  readonly slices: readonly number[];
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    thing: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    wait: fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 900 }) }, { weight: 1, arbitrary: fc.nat({ max: 30_000 }) }),
    x: fc.nat({ max: 9 }),
    ticks: fc.boolean(),
    lags: fc.boolean(),
    slices: fc.array(fc.nat({ max: 3 }), { maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 40 },
);

test("what is told, in which order, and the state are those of one stretch", () => {
  for (const sql of STATEMENTS) {
    fc.assert(
      fc.property(steps, (story) => {
        const [whole, sliced] = [new Run(sql), new Run(sql)];
        const close = (closing: Closing | null, slices: readonly number[]): void => {
          if (closing === null) return;
          for (let i = 0; !closing.state.closeSome(closing.now, closing.offset, (slices[i] ?? 0) + 1); i++);
        };
        let now = T0;
        for (const [offset, { thing, wait, x, ticks, slices }] of story.entries()) {
          now += wait;
          if (ticks) {
            whole.state.tick(now);
            close(sliced.state.closingBefore(sliced.state.position, now), slices);
            sliced.state.tick(now);
          }
          const one: Reading = { topic: `a/${thing}`, thing, receivedAt: now, json: { x } };
          whole.state.handle(offset, inputOf(one));
          close(sliced.state.closingBefore(offset, now), slices);
          const told = sliced.outcomes.length;
          sliced.state.handle(offset, inputOf(one));
          assert.ok(
            sliced.outcomes.slice(told).every(({ due }) => due === null),
            "nothing was left to be closed",
          );
        }
        assert.deepEqual(sliced.outcomes, whole.outcomes);
        assert.deepEqual(sliced.state.snapshot("everything"), whole.state.snapshot("everything"));
      }),
      { numRuns: Number(process.env["CLOSINGS_RUNS"] ?? 40) },
    );
  }
});

/** A platform's rules over a log, as its consumer hands it over: message by message, and waiting where they say so. */
class Platform {
  readonly clock = new SimClock(SIM_EPOCH);
  readonly receiver = new HearsOnce();
  readonly log: Message[] = [];
  readonly #path = join(folder, `${stores++}.db`);
  readonly #sliceMax: number;
  #alive = { yes: true };
  #store!: SqliteRulesStore;
  rules!: HotRules;
  next = 0;
  crashes = 0;

  constructor(sliceMax: number) {
    this.#sliceMax = sliceMax;
  }

  async start(): Promise<this> {
    const alive = { yes: true };
    this.#alive = alive;
    const scheduler = mortalScheduler(this.clock, () => alive.yes);
    this.#store = new SqliteRulesStore({ path: this.#path, sealing: SEALING });
    this.rules = new HotRules({
      store: this.#store,
      clock: this.clock,
      scheduler,
      random: new SimRandom(1),
      logger: new SimLogger(),
      metrics: new SimMetrics(),
      windowLimits: { ...LIMITS.windows, closeSliceMax: this.#sliceMax },
      senders: this.receiver.senders(alive),
      keyedHash: (text) => SEALING.hmac(text),
    });
    this.next = await this.rules.start();
    this.rules.follow(
      () => this.log.length,
      () => () => {},
    );
    return this;
  }

  async crash(): Promise<void> {
    this.crashes++;
    this.#alive.yes = false;
    this.#store.close();
    await this.start();
  }

  /** To the log's end; before each slice that is 0, the process dies. */
  async consume(slices: number[]): Promise<void> {
    while (this.next < this.log.length) {
      const wait = this.rules.take(this.next, this.log[this.next]!);
      if (wait === null) {
        this.next++;
        continue;
      }
      assert.ok(this.rules.checkpoint() <= this.next);
      if (slices.shift() === 0) await this.crash();
      else this.clock.step(this.clock.monotonic()); // one slice, or what is sent
      await settle();
    }
    this.rules.caughtUp(this.next);
  }

  async pass(span: number): Promise<void> {
    this.clock.advance(span);
    await settle();
  }

  async close(): Promise<void> {
    await this.rules.close();
    this.#store.close();
  }
}

async function saidBy(sql: string, story: readonly Step[], sliceMax: number): Promise<readonly [string[], number]> {
  const platform = await new Platform(sliceMax).start();
  platform.rules.put("r", { sql, actions: [{ webhook: { url: "http://127.0.0.1/" } }] });
  for (const { thing, wait, x, lags, slices } of story) {
    await platform.pass(wait);
    const receivedAt = platform.clock.now();
    platform.log.push(messageOf(`a/${thing}`, encodeUtf8(JSON.stringify({ x })), { thing, receivedAt }));
    if (!lags) await platform.consume(sliceMax === Infinity ? [] : [...slices]);
  }
  await platform.consume([]);
  await platform.pass(120_000);
  await platform.close();
  return [platform.receiver.said.sort(), platform.crashes];
}

test("a process that dies between two slices begins the closing again, and everybody hears what he would have heard", async () => {
  let crashes = 0;
  for (const sql of STATEMENTS) {
    await fc.assert(
      fc.asyncProperty(steps, async (story) => {
        const [said, died] = await saidBy(sql, story, 1);
        crashes += died;
        assert.deepEqual(said, (await saidBy(sql, story, Infinity))[0]);
      }),
      { numRuns: Number(process.env["CLOSINGS_RUNS"] ?? 8) },
    );
  }
  assert.ok(crashes > 0, "it has died");
});

test("between two slices nothing is saved, messages and time wait; who changes a rule then ends the closing first", async () => {
  const platform = await new Platform(8).start();
  const sql = "SELECT topic(2) AS d, sum(x) AS s FROM 'a/#' GROUP BY topic(2), TUMBLE('5 s') LATENESS '0 s'";
  platform.rules.put("r", { sql, actions: [{ webhook: { url: "http://127.0.0.1/" } }] });
  const say = (thing: string): void => {
    const receivedAt = platform.clock.now();
    platform.log.push(messageOf(`a/${thing}`, encodeUtf8('{"x":1}'), { thing, receivedAt }));
  };
  for (let n = 0; n < 100; n++) say(`d-${n}`);
  await platform.consume([]);
  await platform.pass(5_100); // ticks are a second behind
  say("late");
  const wait = platform.rules.take(100, platform.log[100]!);
  assert.notEqual(wait, null);
  assert.notEqual(platform.rules.take(100, platform.log[100]!), null, "it waits still");
  platform.rules.put("r", { sql, actions: [{ webhook: { url: "http://127.0.0.1/other" } }] });
  await wait;
  assert.equal(platform.rules.take(100, platform.log[100]!), null);
  await platform.pass(100);
  assert.equal(platform.receiver.said.length, 100);
  await platform.close();
});
