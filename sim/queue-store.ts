/**
 * A queue store whose disk may fill up, fail, or die between two commits. What was committed survives `crash`; a commit
 * that throws has changed nothing.
 */
import type { Change, DeadLetter, OutboxState, QueueStore, Reading, StoredSize } from "../src/queue/mod.ts";
import { QueueStoreError, sizeOf } from "../src/queue/mod.ts";

export class SimQueueStore implements QueueStore {
  #state: OutboxState | null = null;
  readonly #readings = new Map<number, Reading>();
  readonly #dead = new Map<number, { readonly reading: Reading; readonly reasonCode: number; readonly at: number }>();
  commits = 0;
  /** Asked before each commit; may say that the disk refuses it. */
  fault: () => "full" | "failed" | null = () => null;

  load(): OutboxState | null {
    return this.#state;
  }

  commit(change: Change): void {
    const fault = this.fault();
    if (fault !== null) throw new QueueStoreError(fault, `simulated: ${fault}`);
    for (const { sequence, reasonCode, at } of change.bury) {
      const reading = this.#readings.get(sequence);
      if (reading !== undefined) this.#dead.set(sequence, { reading, reasonCode, at });
      this.#readings.delete(sequence);
    }
    const tooMany = Math.max(0, this.#dead.size - change.deadLettersMax);
    for (const sequence of [...this.#dead.keys()].sort((x, y) => x - y).slice(0, tooMany)) this.#dead.delete(sequence);
    for (const sequence of change.remove) this.#readings.delete(sequence);
    for (const reading of change.put) this.#readings.set(reading.sequence, reading);
    this.#state = { ...change.state, outbox: this.#state?.outbox ?? change.state.outbox };
    this.commits++;
  }

  read(after: number, count: number, bytes: number): Reading[] {
    const found: Reading[] = [];
    let room = bytes;
    for (const reading of this.#ascending()) {
      if (reading.sequence <= after) continue;
      if (found.length >= count || room <= 0) break;
      found.push(reading);
      room -= sizeOf(reading);
    }
    return found;
  }

  find(sequence: number): Reading | null {
    return this.#readings.get(sequence) ?? null;
  }

  expendable(count: number): StoredSize[] {
    const line = this.#ascending().sort((a, b) => a.priority - b.priority || a.sequence - b.sequence);
    return line.slice(0, count).map(storedSize);
  }

  expired(now: number, count: number): StoredSize[] {
    const line = this.#ascending().filter((reading) => reading.expiresAt !== null && reading.expiresAt <= now);
    return line
      .sort((a, b) => a.expiresAt! - b.expiresAt!)
      .slice(0, count)
      .map(storedSize);
  }

  deadLetters(count: number): DeadLetter[] {
    return [...this.#dead.values()]
      .sort((a, b) => a.reading.sequence - b.reading.sequence)
      .slice(0, count)
      .map(({ reading, reasonCode, at }) => ({
        sequence: reading.sequence,
        topic: reading.topic,
        payload: reading.payload,
        reasonCode,
        at,
      }));
  }

  exhume(reasonCodes: readonly number[]): { count: number; bytes: number } {
    let count = 0;
    let bytes = 0;
    for (const [sequence, { reading, reasonCode }] of this.#dead) {
      if (!reasonCodes.includes(reasonCode)) continue;
      this.#dead.delete(sequence);
      this.#readings.set(sequence, reading);
      count++;
      bytes += sizeOf(reading);
    }
    const state = this.#state!;
    this.#state = { ...state, count: state.count + count, bytes: state.bytes + bytes };
    return { count, bytes };
  }

  /** What an auditor would count. */
  contents(): readonly Reading[] {
    return this.#ascending();
  }

  /** Ascending: sequences are inserted in order, but for exhumed ones. */
  #ascending(): Reading[] {
    return [...this.#readings.values()].sort((a, b) => a.sequence - b.sequence);
  }
}

function storedSize(reading: Reading): StoredSize {
  return { sequence: reading.sequence, priority: reading.priority, size: sizeOf(reading) };
}
