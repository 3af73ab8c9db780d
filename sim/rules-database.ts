/** The rules' database: on disk as a whole when `save` returns; it survives its process. */
import { LIMITS } from "../src/base/mod.ts";
import type { EpochMs } from "../src/base/mod.ts";
import { keyOf } from "../src/rules/mod.ts";
import type {
  DeadLetterQuery,
  DeadReceiver,
  KeptLetter,
  LetterChange,
  Receiver,
  Revived,
  RuleDocument,
  RulesStore,
  SaveBatch,
  Saved,
  SavedDelivery,
  AlertRow,
  StoredAlert,
  StoredChange,
  StoredDocument,
} from "../src/rules/mod.ts";

type StoredState = ReturnType<RulesStore["load"]>;

export class SimRulesDatabase implements RulesStore {
  /** The disk takes nothing. */
  broken = false;
  readonly #rules = new Map<string, RuleDocument>();
  readonly #documents = new Map<string, StoredDocument>();
  readonly #waiting = new Map<string, SavedDelivery>();
  readonly #dead = new Map<string, KeptLetter>();
  readonly #receivers = new Map<string, Receiver>();
  #letters = 0;
  readonly #alerts = new Map<string, StoredAlert>();
  readonly #alertRows = new Map<string, AlertRow>();
  readonly #windows = new Map<string, { header: Uint8Array; readonly pages: Map<number, Uint8Array> }>();
  /** By rule and page: written, and not counting yet. */
  readonly #staged = new Map<string, Map<number, Uint8Array>>();
  readonly #owed = new Map<string, number>();
  #toldUntil: EpochMs | null = null;
  #checkpoint: number | null = null;

  load(): StoredState {
    const waiting = [...this.#waiting.values()];
    return {
      rules: [...this.#rules.values()],
      checkpoint: this.#checkpoint,
      alerts: [...this.#alerts.values()],
      alertRows: [...this.#alertRows.values()],
      receivers: [...new Set(waiting.map(({ receiver }) => receiver))].map((key) => this.#receivers.get(key)!),
      waiting: waiting.length,
      savedOffsetMax: waiting.reduce((highest, { offset }) => Math.max(highest, offset), -1),
      windows: [...this.#windows].map(([rule, { header, pages }]) => {
        return { rule, snapshot: { header, pages: [...pages] }, replaces: false, staged: [] };
      }),
      toldUntil: this.#toldUntil,
      owed: [...this.#owed].map(([rule, position]) => ({ rule, position })),
      newestCreatedAt: waiting.length === 0 ? null : Math.max(...waiting.map(({ createdAt }) => createdAt)),
    };
  }

  putRule(rule: RuleDocument): void {
    this.#refuseWhereBroken();
    this.#rules.set(rule.ruleName, rule);
  }

  change({ rules, deletes, documents }: StoredChange): number[] {
    this.#refuseWhereBroken();
    for (const rule of rules) this.#rules.set(rule.ruleName, rule);
    for (const stored of documents) {
      const key = `${stored.kind} ${stored.name}`;
      if (stored.document === null) this.#documents.delete(key);
      else this.#documents.set(key, stored);
    }
    return deletes.map((ruleName) => {
      this.#rules.delete(ruleName);
      this.#windows.delete(ruleName);
      this.#staged.delete(ruleName);
      this.#owed.delete(ruleName);
      const gone = [...this.#waiting].filter(([, { rule }]) => rule === ruleName);
      for (const [key] of gone) this.#waiting.delete(key);
      return gone.length;
    });
  }

  documents(): StoredDocument[] {
    return [...this.#documents.values()];
  }

  forgetThing(thing: string): { alerts: number; deliveries: number; deadLetters: number } {
    this.#refuseWhereBroken();
    this.#staged.clear();
    const alerts = [...this.#alerts].filter(([, stored]) => stored.alert.thing === thing);
    const waiting = [...this.#waiting].filter(([, { things }]) => things.includes(thing));
    const dead = [...this.#dead].filter(([, { things }]) => things.includes(thing));
    for (const [id] of alerts) this.#alerts.delete(id);
    for (const [key, row] of this.#alertRows) if (row.thing === thing) this.#alertRows.delete(key);
    for (const [key] of waiting) this.#waiting.delete(key);
    for (const [key] of dead) this.#dead.delete(key);
    return { alerts: alerts.length, deliveries: waiting.length, deadLetters: dead.length };
  }

  stage(rule: string, pages: readonly (readonly [number, Uint8Array])[]): void {
    this.#refuseWhereBroken();
    const staged = this.#staged.get(rule) ?? new Map<number, Uint8Array>();
    for (const [page, body] of pages) staged.set(page, body);
    this.#staged.set(rule, staged);
  }

  save({
    checkpoint,
    receivers,
    deliveries,
    done,
    dead,
    alerts,
    alertRows,
    windows,
    toldUntil,
    owed,
  }: SaveBatch): Saved {
    this.#refuseWhereBroken();
    for (const { rule, position } of owed) {
      if (position === null) this.#owed.delete(rule);
      else this.#owed.set(rule, position);
    }
    for (const { rule, snapshot, replaces, staged } of windows) {
      const pages = new Map(replaces ? [] : this.#windows.get(rule)?.pages);
      for (const page of staged) pages.set(page, this.#staged.get(rule)!.get(page)!);
      for (const [page, body] of snapshot?.pages ?? []) pages.set(page, body);
      if (snapshot === null) this.#windows.delete(rule);
      else this.#windows.set(rule, { header: snapshot.header, pages });
    }
    this.#toldUntil = toldUntil ?? this.#toldUntil;
    this.#checkpoint = checkpoint;
    for (const receiver of receivers) this.#receivers.set(receiver.key, receiver);
    for (const delivery of deliveries) this.#waiting.set(keyOf(delivery), delivery);
    for (const key of done) this.#waiting.delete(key);
    for (const letter of dead) {
      this.#waiting.delete(keyOf(letter));
      const { carrier, label } = this.#receivers.get(letter.receiver)!;
      this.#dead.set(keyOf(letter), { ...letter, number: ++this.#letters, carrier, label });
    }
    for (const key of [...this.#dead.keys()].slice(0, Math.max(0, this.#dead.size - LIMITS.rules.deadLettersMax)))
      this.#dead.delete(key);
    for (const row of alertRows) {
      if (row.document === null) this.#alertRows.delete(`${row.kind} ${row.id}`);
      else this.#alertRows.set(`${row.kind} ${row.id}`, row);
    }
    for (const stored of alerts) this.#alerts.set(stored.alert.id, stored);
    for (const { kind, id } of alertRows) if (kind === "alert") this.#alerts.delete(id);
    return { waiting: this.#waiting.size, refused: [], lost: [] };
  }

  due(receiver: string, now: EpochMs, limit: number): SavedDelivery[] {
    return this.#of(receiver)
      .filter(({ nextAttemptAt }) => nextAttemptAt <= now)
      .slice(0, limit);
  }

  nextDue(receiver: string): EpochMs | null {
    return this.#of(receiver)[0]?.nextAttemptAt ?? null;
  }

  has(key: string): boolean {
    return this.#waiting.has(key) || this.#dead.has(key);
  }

  waitingFor(receiver: string): number {
    return this.#of(receiver).length;
  }

  older(createdBefore: EpochMs, limit: number): SavedDelivery[] {
    return [...this.#waiting.values()].filter(({ createdAt }) => createdAt < createdBefore).slice(0, limit);
  }

  deadReceivers(): DeadReceiver[] {
    const letters = [...this.#dead.values()].reverse();
    return [...Map.groupBy(letters, ({ receiver }) => receiver)].map(([receiver, all]) => {
      const { carrier, label, number: newest } = all[0]!;
      return { receiver, carrier, label, count: all.length, newest };
    });
  }

  changeReceiver(rule: string, from: string, to: Receiver): number {
    this.#receivers.set(to.key, to);
    const moved = [...this.#waiting].filter(([, delivery]) => delivery.rule === rule && delivery.receiver === from);
    for (const [key, delivery] of moved) {
      this.#waiting.delete(key);
      const next = { ...delivery, receiver: to.key };
      this.#waiting.set(keyOf(next), next);
    }
    return moved.length;
  }

  hasDied(rule: string, event: string): boolean {
    return [...this.#dead.values()].some((letter) => letter.rule === rule && letter.origin?.event === event);
  }

  deadLetters({ number, rule, receiver, before = Infinity, limit }: DeadLetterQuery): KeptLetter[] {
    return [...this.#dead.values()]
      .filter((letter) => letter.number < before && (number === undefined || letter.number === number))
      .filter((letter) => rule === undefined || letter.rule === rule)
      .filter((letter) => receiver === undefined || letter.receiver === receiver)
      .reverse()
      .slice(0, limit);
  }

  editDeadLetter(number: number, change: LetterChange): KeptLetter | null {
    const letter = this.deadLetters({ number, limit: 1 })[0];
    if (letter === undefined) return null;
    const changed = { ...letter, ...change };
    this.#dead.set(keyOf(letter), changed);
    return changed;
  }

  revive(query: DeadLetterQuery, now: EpochMs): readonly Revived[] {
    return this.deadLetters(query).map((letter) => {
      this.#dead.delete(keyOf(letter));
      this.#waiting.set(keyOf(letter), { ...letter, attempts: 0, createdAt: now, nextAttemptAt: now });
      return { receiver: this.#receivers.get(letter.receiver)!, count: 1 };
    });
  }

  dropDeadLetters(query: DeadLetterQuery): number {
    return this.deadLetters(query).filter((letter) => this.#dead.delete(keyOf(letter))).length;
  }

  #of(receiver: string): SavedDelivery[] {
    return [...this.#waiting.values()]
      .filter((delivery) => delivery.receiver === receiver)
      .sort((a, b) => a.nextAttemptAt - b.nextAttemptAt || a.offset - b.offset);
  }

  #refuseWhereBroken(): void {
    if (this.broken) throw new Error("database or disk is full");
  }
}
