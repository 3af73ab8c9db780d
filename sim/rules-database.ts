/** The rules' database: on disk as a whole when `save` returns; it survives its process. */
import { LIMITS } from "../src/base/mod.ts";
import type { EpochMs } from "../src/base/mod.ts";
import { keyOf } from "../src/rules/mod.ts";
import type { DeadLetter, RuleDocument, RulesStore, SaveBatch, SavedDelivery, StoredAlert } from "../src/rules/mod.ts";

type StoredState = ReturnType<RulesStore["load"]>;

export class SimRulesDatabase implements RulesStore {
  /** The disk takes nothing. */
  broken = false;
  readonly #rules = new Map<string, RuleDocument>();
  readonly #waiting = new Map<string, SavedDelivery>();
  readonly #dead = new Map<string, DeadLetter>();
  readonly #alerts = new Map<string, StoredAlert>();
  #checkpoint: number | null = null;

  load(): StoredState {
    const waiting = [...this.#waiting.values()];
    return {
      rules: [...this.#rules.values()],
      checkpoint: this.#checkpoint,
      alerts: [...this.#alerts.values()],
      targets: [...new Map(waiting.map(({ target, kind }) => [target, { target, kind }])).values()],
      waiting: waiting.length,
      savedOffsetMax: waiting.reduce((highest, { offset }) => Math.max(highest, offset), -1),
      newestCreatedAt: waiting.length === 0 ? null : Math.max(...waiting.map(({ createdAt }) => createdAt)),
    };
  }

  putRule(rule: RuleDocument): void {
    this.#refuseWhereBroken();
    this.#rules.set(rule.ruleName, rule);
  }

  deleteRule(ruleName: string): number {
    this.#refuseWhereBroken();
    this.#rules.delete(ruleName);
    const gone = [...this.#waiting].filter(([, { rule }]) => rule === ruleName);
    for (const [key] of gone) this.#waiting.delete(key);
    return gone.length;
  }

  forgetThing(thing: string): { alerts: number; deliveries: number; deadLetters: number } {
    this.#refuseWhereBroken();
    const alerts = [...this.#alerts].filter(([, stored]) => stored.alert.thing === thing);
    const waiting = [...this.#waiting].filter(([, { things }]) => things.includes(thing));
    const dead = [...this.#dead].filter(([, { things }]) => things.includes(thing));
    for (const [id] of alerts) this.#alerts.delete(id);
    for (const [key] of waiting) this.#waiting.delete(key);
    for (const [key] of dead) this.#dead.delete(key);
    return { alerts: alerts.length, deliveries: waiting.length, deadLetters: dead.length };
  }

  save({ checkpoint, deliveries, done, dead, alerts }: SaveBatch): number {
    this.#refuseWhereBroken();
    this.#checkpoint = checkpoint;
    for (const delivery of deliveries) this.#waiting.set(keyOf(delivery), delivery);
    for (const key of done) this.#waiting.delete(key);
    for (const letter of dead) {
      this.#waiting.delete(keyOf(letter));
      this.#dead.set(keyOf(letter), letter);
    }
    for (const key of [...this.#dead.keys()].slice(0, Math.max(0, this.#dead.size - LIMITS.rules.deadLettersMax)))
      this.#dead.delete(key);
    for (const stored of alerts) this.#alerts.set(stored.alert.id, stored);
    return this.#waiting.size;
  }

  due(target: string, now: EpochMs, limit: number): SavedDelivery[] {
    return this.#of(target)
      .filter(({ nextAttemptAt }) => nextAttemptAt <= now)
      .slice(0, limit);
  }

  nextDue(target: string): EpochMs | null {
    return this.#of(target)[0]?.nextAttemptAt ?? null;
  }

  has(key: string): boolean {
    return this.#waiting.has(key) || this.#dead.has(key);
  }

  expire(createdBefore: EpochMs, now: EpochMs, reason: string): number {
    this.#refuseWhereBroken();
    const old = [...this.#waiting].filter(([, { createdAt }]) => createdAt < createdBefore);
    for (const [key, delivery] of old) {
      this.#waiting.delete(key);
      this.#dead.set(key, { ...delivery, lastError: reason, diedAt: now });
    }
    return old.length;
  }

  deadLetters(limit: number): DeadLetter[] {
    return [...this.#dead.values()].reverse().slice(0, limit);
  }

  revive(key: string, now: EpochMs): SavedDelivery | null {
    const letter = this.#dead.get(key);
    if (letter === undefined) return null;
    this.#dead.delete(key);
    const delivery = { ...letter, attempts: 0, nextAttemptAt: now };
    this.#waiting.set(key, delivery);
    return delivery;
  }

  #of(target: string): SavedDelivery[] {
    return [...this.#waiting.values()]
      .filter((delivery) => delivery.target === target)
      .sort((a, b) => a.nextAttemptAt - b.nextAttemptAt || a.offset - b.offset);
  }

  #refuseWhereBroken(): void {
    if (this.broken) throw new Error("database or disk is full");
  }
}
