/**
 * The state of one rule: keys, and what the statement keeps of each. It is a function of the messages and of the time that
 * it is given, and so gives the same results whatever the batches, after a restart and in another process: time goes on with
 * the messages' time of acceptance and with `tick`, and what is due happens in order of its time, before the message.
 */
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import { slotsOf } from "../../sql/mod.ts";
import type { StateValue, WindowPlan } from "../../sql/mod.ts";
import type { Closing } from "./closings.ts";
import { CountWindows } from "./count-windows.ts";
import { DueHeap } from "./due-heap.ts";
import { eventTimeOf } from "./event-time.ts";
import { keyName, keyValues } from "./key-name.ts";
import { KeyTable } from "./key-table.ts";
import { keyedFunctionOf } from "./keyed-functions.ts";
import type { KeyedFunction } from "./keyed-functions.ts";
import { PaneWindows } from "./pane-windows.ts";
import { PatternState } from "./pattern-state.ts";
import { RowTable, SCRATCH } from "./row-table.ts";
import { SessionWindows } from "./session-windows.ts";
import { SlideWindows } from "./slide-windows.ts";
import { readState, writePage, writeHeader } from "./snapshot.ts";
import type { StateParts, StateSnapshot } from "./snapshot.ts";
import { StateSave } from "./state-save.ts";
import { NOTHING, PastInput } from "./state-input.ts";
import type { StateInput } from "./state-input.ts";
import type { WindowKind, WindowPorts } from "./window-kind.ts";
import type { WindowSpan } from "./aggregate.ts";

/** What a rule with state found. */
export interface Outcome {
  readonly matched: boolean;
  readonly key: string;
  /** The same for the same window or episode, however often it is computed; unique within the rule. */
  readonly id: string;
  /** SELECT, where it matched. */
  readonly value: JsonValue | Uint8Array | null;
  /** The message, or the last one of the key. */
  readonly topic: string;
  readonly clientId: string;
  /** Null where a key had messages of several. */
  readonly thing: string | null;
  /** Event time: the message's, or the window's end. */
  readonly time: EpochMs;
  /** Log time of the timer behind it; null where a message is. */
  readonly due: EpochMs | null;
  /** The message's offset; for a timer that of the next message. */
  readonly offset: number;
}

export interface StateLimits {
  readonly windowKeysMax: number;
  readonly windowBytesMax: number;
  readonly windowOpenMax: number;
}

export interface RuleStateOptions {
  readonly plan: WindowPlan;
  readonly limits: StateLimits;
  readonly parse: (payload: Uint8Array) => JsonValue | undefined;
  /** Must not throw; the input is that of the SELECT and is valid until it returns. */
  readonly outcome: (outcome: Outcome, input: StateInput) => void;
  /** Keys that are saved as one piece; a power of two. */
  readonly pageKeys?: number;
}

/** What did not go in, or went before its time; only grows. */
export interface StateCounts {
  /** Messages whose window was closed, or older than what a pattern had seen. */
  late: number;
  /** Messages whose key had too many windows open. */
  crowded: number;
  /** Messages without a key. */
  keyless: number;
  /** Keys that went because there were too many, or they took too much memory. */
  evicted: number;
}

/** The memory is looked at once in so many messages of the log; between, it can grow by as many values. */
const WEIGH_PERIOD = 1_024;

export class RuleState {
  readonly counts: StateCounts = { late: 0, crowded: 0, keyless: 0, evicted: 0 };
  readonly #o: RuleStateOptions;
  readonly #plan: WindowPlan;
  readonly #keys: KeyTable;
  readonly #rows: RowTable;
  readonly #kind: WindowKind | null;
  readonly #keyed: readonly KeyedFunction[];
  readonly #pattern: PatternState | null;
  readonly #heap: DueHeap;
  readonly #slotAt: ReturnType<typeof slotsOf>;
  readonly #slots: StateValue[];
  #past: PastInput;
  readonly #bytesPerKey: number;
  /** Time of the log, as far as it is known. */
  #now: EpochMs = -Infinity;
  #position = 0;
  /** Behind the last message that was for it. */
  #handled = 0;
  /** The timer at work. */
  #due: EpochMs | null = null;
  #input: StateInput;
  /** The save under way. */
  #save: StateSave | null = null;

  constructor(options: RuleStateOptions) {
    this.#o = options;
    this.#plan = options.plan;
    this.#slotAt = slotsOf(options.plan);
    this.#slots = Array.from({ length: this.#slotAt.keyed + options.plan.keyed.length }, () => undefined);
    this.#past = new PastInput(options.parse);
    this.#input = this.#past;
    this.#rows = new RowTable(options.plan.aggregates);
    this.#kind = this.#kindOf();
    this.#keyed = options.plan.keyed.map(keyedFunctionOf);
    this.#pattern = options.plan.pattern === null ? null : new PatternState(options.plan.pattern);
    this.#keys = new KeyTable(
      (keys) => this.#grow(keys),
      (key) => this.#save!.keep(key),
      options.pageKeys,
    );
    this.#heap = new DueHeap(this.#keys.bornOf);
    const perKey = [DueHeap.bytesPerKey, this.#kind?.bytesPerKey ?? 0, this.#pattern?.bytesPerKey ?? 0];
    this.#bytesPerKey = this.#keyed.reduce(
      (sum, { bytesPerKey }) => sum + bytesPerKey,
      perKey.reduce((sum, bytes) => sum + bytes, 0),
    );
  }

  /** Offset of the next message that it has not seen. */
  get position(): number {
    return this.#position;
  }
  /** Time of the log. */
  get now(): EpochMs {
    return this.#now;
  }
  get keys(): number {
    return this.#keys.size;
  }
  /** When `tick` would do something; Infinity where never. */
  get nextDue(): EpochMs {
    return this.#heap.next;
  }
  /** About what it takes in memory. */
  get bytes(): number {
    let bytes = this.#keys.bytes + this.#keys.size * this.#bytesPerKey + this.#rows.bytes;
    bytes += (this.#kind?.sideBytes ?? 0) + (this.#pattern?.sideBytes ?? 0);
    for (const { sideBytes } of this.#keyed) bytes += sideBytes;
    return bytes;
  }

  /** Whether a snapshot of the changes would have any. */
  get changed(): boolean {
    return this.#keys.changedPages > 0;
  }

  /** It sees messages from here on; those before are none of its business. */
  startAt(position: number): void {
    this.#position = position;
    this.#handled = position;
  }

  /** No message below is for it. */
  caughtUp(position: number): void {
    if (position > this.#position) this.#position = position;
  }

  /** One message of the log. False where it had been seen before. */
  handle(offset: number, input: StateInput): boolean {
    if (offset < this.#position) return false;
    // By offset, not by count: so it happens at the same message after a restart.
    const weigh = Math.floor(offset / WEIGH_PERIOD) !== Math.floor((this.#handled - 1) / WEIGH_PERIOD);
    this.#advance(input.receivedAt, offset);
    this.#plan.begin?.();
    this.#position = offset + 1;
    this.#handled = offset + 1;
    if (weigh) this.#weigh();
    const key = this.#keyOf(input);
    if (key === null) {
      this.counts.keyless++;
      return true;
    }
    this.#input = input;
    this.#take(key, input, eventTimeOf(input, this.#plan.time));
    this.#input = this.#past;
    return true;
  }

  /** Nothing that was accepted before `now` is still to come. */
  tick(now: EpochMs): void {
    this.#advance(now, this.#position);
  }

  /** What is over before the message at `offset` or, where it is the next one, by then; null where nothing is. */
  closingBefore(offset: number, now: EpochMs): Closing | null {
    const isOver = this.#heap.next <= now && now > this.#now && offset >= this.#position;
    return isOver ? { state: this, now, offset } : null;
  }

  /** At most so many of them; true where it was the last. Until then there must be nothing else. */
  closeSome(now: EpochMs, offset: number, max: number): boolean {
    this.#fireUntil(now, offset, max);
    if (this.#heap.next <= now) return false;
    this.#now = now;
    return true;
  }

  // ── snapshots ────────────────────────────────────────────────────────────────────────────────

  get pageCount(): number {
    return this.#keys.pages;
  }

  header(): Uint8Array {
    const [position, handled, now] = [this.#position, this.#handled, this.#now];
    return writeHeader({ definition: this.#plan.definition, position, handled, now }, this.#parts(), this.counts);
  }

  /** Written one by one as they are asked for: nothing may change meanwhile. */
  *allPages(): Generator<readonly [page: number, body: Uint8Array]> {
    const parts = this.#parts();
    for (let page = 0; page < this.#keys.pages; page++) yield [page, writePage(page, parts)];
  }

  /** What changed since the last save, written now; or everything, which leaves it to the next save what changed. */
  snapshot(how: "changes" | "everything"): StateSnapshot {
    if (how === "changes") this.endSave(false);
    const { pageCount } = this;
    const pages =
      how === "changes" ? this.#keys.takeChanged(false) : Array.from({ length: pageCount }, (_, page) => page);
    const parts = this.#parts();
    return { header: this.header(), pages: pages.map((page) => [page, writePage(page, parts)] as const) };
  }

  /** The changes could not be saved: the next save has them again. */
  unsaved({ pages }: StateSnapshot): void {
    this.#keys.unsaved(pages.map(([page]) => page));
  }

  /** A save of what changed since the one before, to be written while the state goes on; ends one that is under way. */
  beginSave(): StateSave {
    this.endSave(false);
    const pages = this.#keys.takeChanged(true);
    this.#save = new StateSave(this.header(), this.#position, pages, this.#parts());
    return this.#save;
  }

  /** The one under way. */
  get save(): StateSave | null {
    return this.#save;
  }

  /** `saved`: all of it counts from now on. If not, the next save has its changes again. */
  endSave(saved: boolean): void {
    if (this.#save !== null && !saved) this.#keys.unsaved(this.#save.pages);
    this.#save?.end();
    this.#save = null;
  }

  /** Of an empty one only. Throws `StateUnreadable`; then it must not be used. */
  restore(snapshot: StateSnapshot): void {
    const { position, handled, now, counts } = readState(snapshot, this.#plan.definition, this.#parts());
    this.#position = position;
    this.#handled = handled;
    this.#now = now;
    Object.assign(this.counts, counts);
    for (const key of this.#keys.numbers()) this.#schedule(key);
  }

  /** Keys of a thing, or with its name. Returns how many there were; a save under way still has them. */
  forget(thing: string): number {
    const isOf = (key: number): boolean => this.#keys.thingOf(key) === thing || this.#keys.nameOf(key) === thing;
    const gone = Array.from(this.#keys.numbers()).filter(isOf);
    for (const key of gone) this.#drop(key);
    return gone.length;
  }

  #parts(): StateParts {
    const perKey = [...(this.#kind === null ? [] : [this.#kind]), ...this.#keyed];
    return { keys: this.#keys, columns: this.#pattern === null ? perKey : [...perKey, this.#pattern] };
  }

  // ── messages ─────────────────────────────────────────────────────────────────────────────────

  #keyOf(input: StateInput): string | null {
    return this.#plan.keys === null ? input.thing : keyName(this.#plan.keys, input);
  }

  #take(name: string, input: StateInput, time: EpochMs): void {
    input.slots = this.#slots;
    if (this.#keyed.length === 0 && this.#pattern === null) {
      if (this.#plan.where(input) !== true) return;
      this.#window(this.#touch(name, input), input, time);
      return;
    }
    const key = this.#touch(name, input);
    for (let i = 0; i < this.#keyed.length; i++) {
      this.#slots[this.#slotAt.keyed + i] = this.#keyed[i]!.step(key, this.#plan.keyed[i]!.of(input), time);
    }
    const verdict = this.#plan.where(input);
    if (this.#pattern !== null) this.#step(key, this.#pattern, verdict, input, time);
    else if (this.#kind !== null) {
      if (verdict === true) this.#window(key, input, time);
    } else if (verdict !== undefined) {
      this.#tell(verdict, key, `${this.#position - 1}`, time);
    }
  }

  #touch(name: string, input: StateInput): number {
    const present = this.#keys.find(name);
    if (present >= 0) {
      this.#keys.touch(present, input.topic, input.thing, this.#now);
      return present;
    }
    while (this.#keys.size >= this.#o.limits.windowKeysMax) this.#evict();
    const key = this.#keys.add(name, input.topic, input.thing, this.#now);
    this.#kind?.open(key);
    this.#pattern?.open(key);
    for (const keyed of this.#keyed) keyed.reset(key);
    return key;
  }

  #window(key: number, input: StateInput, time: EpochMs): void {
    const refusal = this.#kind!.accept(key, input, time, this.#now);
    if (refusal === null) {
      const due = this.#kind!.due(key);
      if (due < this.#heap.dueOf(key)) this.#heap.set(key, due);
      return;
    }
    this.counts[refusal]++;
    this.#forgetIdle(key);
  }

  #step(key: number, pattern: PatternState, verdict: boolean | undefined, input: StateInput, time: EpochMs): void {
    const step = pattern.step(key, verdict, input, time, this.#now);
    if (step === null) {
      this.counts.late++;
      return;
    }
    this.#schedule(key);
    if (step === "fires") this.#tell(true, key, `${pattern.sinceOf(key)}`, time);
    else if (step === "broken") this.#tell(false, key, "", time);
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────

  #advance(now: EpochMs, offset: number): void {
    if (!(now > this.#now)) return;
    if (this.#heap.next <= now) this.#fireUntil(now, offset, Infinity);
    this.#now = now;
  }

  #fireUntil(now: EpochMs, offset: number, max: number): void {
    this.#position = offset;
    for (let left = max; left > 0 && this.#heap.next <= now; left--) {
      const key = this.#heap.first;
      const due = (this.#kind ?? this.#pattern!).due(key);
      if (due > this.#heap.next) {
        this.#heap.set(key, due); // it was put off since
        continue;
      }
      this.#now = Math.max(this.#now, due);
      this.#due = due;
      this.#keys.changing(key);
      if (this.#kind === null) this.#fire(key, this.#pattern!);
      else this.#kind.close(key);
      this.#due = null;
      this.#schedule(key);
      this.#forgetIdle(key);
    }
  }

  #fire(key: number, pattern: PatternState): void {
    const { clientId, receivedAt, payload } = pattern.waitingOf(key);
    this.#plan.begin?.();
    this.#past = new PastInput(this.#o.parse); // variables of SET are remembered by the message
    this.#past.payload = payload;
    this.#past.clientId = clientId;
    this.#past.receivedAt = receivedAt;
    const since = pattern.sinceOf(key);
    pattern.fired(key);
    this.#tell(true, key, `${since}`, this.#due!);
  }

  #schedule(key: number): void {
    const due = (this.#kind ?? this.#pattern)?.due(key) ?? Infinity;
    this.#heap.set(key, due);
  }

  #forgetIdle(key: number): void {
    const kept = this.#keyed.length > 0 || !(this.#kind ?? this.#pattern!).idle(key);
    if (!kept) this.#drop(key);
  }

  // ── results ──────────────────────────────────────────────────────────────────────────────────

  #result(key: number, row: number, span: WindowSpan, byMessage: boolean): void {
    this.#slots[this.#slotAt.start] = span.start;
    this.#slots[this.#slotAt.end] = span.end;
    this.#rows.results(row, span, this.#slots, this.#slotAt.aggregates);
    this.#past.payload = NOTHING;
    this.#past.clientId = "";
    this.#past.receivedAt = byMessage ? this.#now : this.#due!;
    const id = byMessage ? `${span.start}.${this.#position - 1}` : `${span.start}.${span.end}`;
    this.#tell(null, key, id, span.end);
    if (row === SCRATCH) this.#rows.clear(SCRATCH); // or it would weigh
  }

  /** `matched`: null where HAVING says. */
  #tell(matched: boolean | null, key: number, episode: string, time: EpochMs): void {
    const name = this.#keys.nameOf(key);
    const windowed = matched === null;
    const input = windowed || this.#due !== null ? this.#past : this.#input;
    if (input === this.#past) {
      this.#past.topic = this.#keys.topicOf(key);
      this.#past.thing = this.#keys.thingOf(key) ?? "";
    }
    input.slots = this.#slots;
    if (this.#plan.keys !== null) keyValues(name, this.#plan.keys.length, this.#slots);
    const verdict = matched ?? this.#plan.having(input) === true;
    this.#o.outcome(
      {
        matched: verdict,
        key: name,
        id: `${name}.${episode}`,
        value: verdict ? this.#plan.select(input) : null,
        topic: input.topic,
        clientId: input.clientId,
        thing: this.#keys.thingOf(key),
        time,
        due: this.#due,
        offset: this.#due === null ? this.#position - 1 : this.#position,
      },
      input,
    );
  }

  // ── bounds ───────────────────────────────────────────────────────────────────────────────────

  #weigh(): void {
    while (this.bytes > this.#o.limits.windowBytesMax && this.#keys.size > 1) this.#evict();
  }

  #evict(): void {
    for (const key of this.#keys.oldest()) {
      this.#drop(key);
      this.counts.evicted++;
    }
  }

  #drop(key: number): void {
    this.#keys.changing(key);
    this.#heap.remove(key);
    this.#kind?.drop(key);
    this.#pattern?.drop(key);
    for (const keyed of this.#keyed) keyed.reset(key);
    this.#keys.remove(key);
  }

  #grow(keys: number): void {
    this.#heap.grow(keys);
    this.#kind?.grow(keys);
    this.#pattern?.grow(keys);
    for (const keyed of this.#keyed) keyed.grow(keys);
  }

  #kindOf(): WindowKind | null {
    const { shape, lateness, emit } = this.#plan;
    if (shape === null) return null;
    const ports: WindowPorts = {
      rows: this.#rows,
      lateness,
      emit,
      openMax: this.#o.limits.windowOpenMax,
      result: (key, row, span, byMessage) => this.#result(key, row, span, byMessage),
    };
    switch (shape.kind) {
      case "tumble":
      case "hop":
        return new PaneWindows(shape, ports);
      case "session":
        return new SessionWindows(shape, ports);
      case "count":
        return new CountWindows(shape, ports);
      case "slide":
        return new SlideWindows(shape, ports);
    }
  }
}
