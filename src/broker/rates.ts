/**
 * Rates that are looked at once per received chunk. What was read is charged afterwards; who is above a rate is not read from
 * until it is paid off. A rate that many share is divided evenly: while it is exceeded, those go on who have lately used less
 * than half of what its users use on average, so that a small sender is not starved by a big one.
 */
import type { Millis } from "../base/mod.ts";
import type { LimitName } from "./limit-effects.ts";

/** "Lately" is this long, and as long again before it. */
const WINDOW_MS = 100;
/** What one message costs beside its bytes, in bytes: for comparing who uses more. */
const MESSAGE_BYTES = 256;

/** A rate with its burst: the time at which all that was taken will have been paid for. */
export class Rate {
  readonly #msEach: number;
  readonly #burst: Millis;
  #paidAt: Millis = -Infinity;

  constructor(perSecond: number, burst: Millis) {
    this.#msEach = 1000 / perSecond;
    this.#burst = burst;
  }

  take(amount: number, now: Millis): void {
    const from = now - this.#burst;
    this.#paidAt = (this.#paidAt > from ? this.#paidAt : from) + amount * this.#msEach;
  }

  /** False, and nothing taken, where that would exceed the rate. */
  tryTake(amount: number, now: Millis): boolean {
    if (Math.max(this.#paidAt, now - this.#burst) + amount * this.#msEach > now) return false;
    this.take(amount, now);
    return true;
  }

  /** How long until the rate is kept again; 0 or less where it is. */
  debt(now: Millis): Millis {
    return this.#paidAt - now;
  }

  /** Nothing is remembered that a new rate would not know. */
  isFresh(now: Millis): boolean {
    return this.#paidAt <= now - this.#burst;
  }
}

/** How long a sender has to wait, and for which limit. One object for all answers, because nothing keeps it. */
export const verdict = { wait: 0 as Millis, limit: "messagesPerSecondMax" as LimitName };

export interface MeterLimits {
  readonly messages: LimitName;
  readonly bytes: LimitName;
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly burst: Millis;
}

/** What one connection, thing, tenant, or the whole platform has received; each is a member of the next. */
export class Meter {
  readonly parent: Meter | null;
  readonly #limits: MeterLimits;
  readonly #messages: Rate;
  readonly #bytes: Rate;
  // What it used of its parent, in the parent's present window and the one before.
  #window = 0;
  #used = 0;
  #usedBefore = 0;
  // What its members used of it.
  #windowNumber = 1;
  #windowEnds: Millis = 0;
  #total = 0;
  #totalBefore = 0;
  #members = 0;
  #membersBefore = 0;

  constructor(limits: MeterLimits, parent: Meter | null) {
    this.parent = parent;
    this.#limits = limits;
    this.#messages = new Rate(limits.messagesPerSecond, limits.burst);
    this.#bytes = new Rate(limits.bytesPerSecond, limits.burst);
  }

  charge(messages: number, bytes: number, now: Millis): void {
    if (messages > 0) this.#messages.take(messages, now);
    this.#bytes.take(bytes, now);
    if (this.parent === null) return;
    this.parent.#note(this, messages * MESSAGE_BYTES + bytes, now);
    this.parent.charge(messages, bytes, now);
  }

  /** Fills `verdict`; false where the sender may go on. */
  mustWait(now: Millis): boolean {
    verdict.wait = 0;
    this.#ask(now, false);
    this.#askAbove(now);
    return verdict.wait > 0;
  }

  #askAbove(now: Millis): void {
    const { parent } = this;
    if (parent === null) return;
    const moderate = !this.#usesMore(now);
    parent.#ask(now, moderate);
    if (!moderate) parent.#askAbove(now);
  }

  /** What it has lately received, in bytes, each message with a little more. */
  recent(now: Millis): number {
    const { parent } = this;
    if (parent === null) return 0;
    parent.#roll(now);
    this.#follow(parent);
    return this.#used + this.#usedBefore;
  }

  /** Whether it used at least half as much as the average of its parent's members, and so did its parent. */
  isHeavy(now: Millis): boolean {
    const { parent } = this;
    return parent === null || (this.#usesMore(now) && parent.isHeavy(now));
  }

  /** Moderate members wait only where the rate is exceeded by more than its burst: nothing is exceeded without bound. */
  #ask(now: Millis, moderate: boolean): void {
    const { messages, bytes, burst } = this.#limits;
    const allowed = moderate ? burst : 0;
    const messageDebt = this.#messages.debt(now);
    const byteDebt = this.#bytes.debt(now);
    const debt = Math.max(messageDebt, byteDebt) - allowed;
    if (debt <= verdict.wait) return;
    verdict.wait = debt;
    verdict.limit = messageDebt > byteDebt ? messages : bytes;
  }

  #usesMore(now: Millis): boolean {
    const { parent } = this;
    if (parent === null) return true;
    parent.#roll(now);
    this.#follow(parent);
    const members = Math.max(parent.#members, parent.#membersBefore, 1);
    return 2 * (this.#used + this.#usedBefore) * members >= parent.#total + parent.#totalBefore;
  }

  #note(member: Meter, amount: number, now: Millis): void {
    this.#roll(now);
    member.#follow(this);
    if (member.#used === 0) this.#members++;
    member.#used += amount;
    this.#total += amount;
  }

  /** Brings what this member used up to its parent's window. */
  #follow(parent: Meter): void {
    if (this.#window === parent.#windowNumber) return;
    this.#usedBefore = this.#window === parent.#windowNumber - 1 ? this.#used : 0;
    this.#used = 0;
    this.#window = parent.#windowNumber;
  }

  #roll(now: Millis): void {
    if (now < this.#windowEnds) return;
    const idle = now >= this.#windowEnds + WINDOW_MS;
    this.#windowNumber += idle ? 2 : 1;
    this.#totalBefore = idle ? 0 : this.#total;
    this.#membersBefore = idle ? 0 : this.#members;
    this.#total = 0;
    this.#members = 0;
    this.#windowEnds = now + WINDOW_MS;
  }
}
