/**
 * One rule's messages that wait for answers. They are asked about side by side and handed on in the order of the log. What does
 * not fit is not kept: the rule is behind then, and the log is read again for it from there.
 */
import type { CompiledSql, Externals } from "../../sql/mod.ts";
import type { Asking, MessageInput } from "../input.ts";
import type { SeenMessages } from "../seen-messages.ts";

/** What of a rule asks. */
export interface AskingRule {
  readonly ruleName: string;
  readonly sql: CompiledSql;
  /** Calls of its actions' templates; null where they have none. */
  readonly templates: Externals | null;
  /** Where it came from another runtime: what it has seen there, and leaves out. */
  readonly expects: SeenMessages | null;
}

export interface LinePorts {
  readonly waitingPerRuleMax: number;
  readonly inflightPerRuleMax: number;
  /** Whether there is anybody to ask yet. */
  isOpen(): boolean;
  /** What is not done with now never will be, in this life of the process. */
  isOver(): boolean;
  /** Whether there is room for so many bytes, over all rules. */
  hasRoom(bytes: number): boolean;
  /** One message more, or (with negative bytes) less, is kept. */
  kept(bytes: number): void;
  asking(line: Line): Asking;
  /** The message with all answers. Must not throw. */
  apply(line: Line, offset: number, input: MessageInput): void;
  /** `readFrom` is set: it wants a reader. */
  fellBehind(line: Line): void;
}

interface Waiting {
  readonly offset: number;
  readonly input: MessageInput;
  readonly bytes: number;
  isAnswered: boolean;
  isForgotten: boolean;
}

/** What a message takes in memory beside its payload. */
const OVERHEAD_BYTES = 512;

export class Line {
  readonly #ports: LinePorts;
  #rule: AskingRule;
  /** Offset of the next message that it has not taken. */
  #next: number;
  /** Behind: messages from here on are to be read from the log. Null: they come by themselves. */
  #readFrom: number | null;
  /** Bounded by `waitingPerRuleMax`. */
  readonly #queue: Waiting[] = [];
  /** Those at the front that were asked about. */
  #started = 0;
  #inflight = 0;
  /** Answers to what was asked in an earlier one are nobody's. */
  #epoch = 0;
  #room: PromiseWithResolvers<void> | null = null;
  /** It stands still: it takes nothing more, and what it has taken is done with. */
  #isHeld = false;
  /** Answers that were Undefined. */
  unanswered = 0;

  /** `owed`: it has been behind since before the start. */
  constructor(ports: LinePorts, rule: AskingRule, next: number, owed: boolean) {
    this.#ports = ports;
    this.#rule = rule;
    this.#next = next;
    this.#readFrom = owed ? next : null;
  }

  get rule(): AskingRule {
    return this.#rule;
  }
  get readFrom(): number | null {
    return this.#readFrom;
  }
  get isHeld(): boolean {
    return this.#isHeld;
  }
  /** All messages below were taken, and none from here on. */
  get next(): number {
    return this.#next;
  }
  get size(): number {
    return this.#queue.length;
  }
  /** Offset of the oldest message that is not done with; null where there is none. */
  get oldest(): number | null {
    return this.#queue[0]?.offset ?? this.#readFrom;
  }

  /** Another version of the rule: what was not done with is for the new one, and is asked about anew. */
  reset(rule: AskingRule): void {
    const { oldest } = this;
    this.#rule = rule;
    this.clear();
    if (oldest === null) return;
    this.#next = oldest;
    this.#readFrom = oldest;
  }

  /** Nothing of what waits is wanted any more. */
  clear(): void {
    this.#epoch++;
    for (const { bytes } of this.#queue) this.#ports.kept(-bytes);
    this.#queue.length = 0;
    this.#started = 0;
    this.#inflight = 0;
    this.#readFrom = null;
    this.#isHeld = false;
    this.wake();
  }

  /** What is waiting is given up, and it goes on with this message. */
  skipTo(next: number): void {
    this.clear();
    this.#next = next;
  }

  /** It takes nothing more until `release`; what comes meanwhile is read from the log then. Not for one that is behind. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.wake();
  }

  /** A message of the log, as all rules get it. */
  feed(offset: number, input: MessageInput): void {
    if (this.#readFrom !== null) return;
    if (this.#isHeld ? offset < this.#next : this.take(offset, input)) return;
    this.#readFrom = offset;
    if (!this.#isHeld) this.#ports.fellBehind(this);
  }

  /** False where there is no room for it. */
  take(offset: number, input: MessageInput): boolean {
    if (offset < this.#next) return true;
    if (this.#ports.isOver()) return false;
    const bytes = input.payload.length + OVERHEAD_BYTES;
    if (this.#queue.length >= this.#ports.waitingPerRuleMax) return false;
    if (this.#queue.length > 0 && !this.#ports.hasRoom(bytes)) return false;
    this.#next = offset + 1;
    if (this.#rule.expects?.take(input.message) === true) return true;
    if (this.#queue.length === 0 && !asks(this.#rule, input)) {
      this.#ports.apply(this, offset, input);
      return true;
    }
    const own = input.copy(this.#ports.asking(this));
    this.#queue.push({ offset, input: own, bytes, isAnswered: false, isForgotten: false });
    this.#ports.kept(bytes);
    this.#advance();
    return true;
  }

  /** Resolves when it has taken something out; at once where nothing waits. */
  untilRoom(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  /** Whoever waits for room looks again. */
  wake(): void {
    this.#room?.resolve();
    this.#room = null;
  }

  /** The reader has got this far. */
  readUpTo(next: number): void {
    if (this.#readFrom === null) return;
    this.#readFrom = Math.max(this.#readFrom, next);
    this.#next = Math.max(this.#next, next);
  }

  /** All that there was is read; what comes from here on comes by itself. */
  caughtUp(): void {
    this.#readFrom = null;
  }

  /** There is somebody to ask now. */
  opened(): void {
    this.#advance();
  }

  /** What is waiting of such messages is asked about for nobody. */
  forget(isOf: (input: MessageInput) => boolean): void {
    for (const waiting of this.#queue) if (isOf(waiting.input)) waiting.isForgotten = true;
  }

  #advance(): void {
    const epoch = this.#epoch;
    for (;;) {
      this.#startMore();
      const head = this.#queue[0];
      if (head === undefined || !head.isAnswered || this.#ports.isOver()) return;
      this.#queue.shift();
      this.#started--;
      this.#ports.kept(-head.bytes);
      if (!head.isForgotten) this.#ports.apply(this, head.offset, head.input);
      if (epoch !== this.#epoch) return; // the rule was changed by what it has done
      this.wake();
    }
  }

  #startMore(): void {
    if (!this.#ports.isOpen()) return;
    while (this.#started < this.#queue.length && this.#inflight < this.#ports.inflightPerRuleMax) {
      const waiting = this.#queue[this.#started++]!;
      const asked = ask(this.#rule, waiting.input);
      if (asked === null) waiting.isAnswered = true;
      else void this.#await(waiting, asked);
    }
  }

  async #await(waiting: Waiting, asked: Promise<unknown>): Promise<void> {
    const epoch = this.#epoch;
    this.#inflight++;
    await asked;
    if (epoch !== this.#epoch) return;
    this.#inflight--;
    waiting.isAnswered = true;
    this.#advance();
  }
}

/** Whether anything is to be asked; costs a WHERE where only what is selected asks. */
function asks({ sql, templates }: AskingRule, input: MessageInput): boolean {
  return sql.asks(input) || (templates !== null && sql.test(input) === true);
}

/** Null where there is nothing to ask. Never rejects. */
function ask({ sql, templates }: AskingRule, input: MessageInput): Promise<unknown> | null {
  const asked = sql.prepare(input);
  if (templates === null) return asked;
  // Templates are asked about only where the message matches, which the statement's own answers may decide.
  const then = (): Promise<unknown> | null => (sql.test(input) === true ? templates.prepare(input) : null);
  return asked === null ? then() : asked.then(then);
}
