/** How many accepted bytes are not on disk yet, and which publishers are held back for it. */
import type { Connection } from "./connection.ts";

export class Backlog {
  readonly #bytesMax: number;
  #appended = 0;
  #durable = 0;
  /** (offset, bytes appended up to and with it), oldest first. */
  readonly #marks: { readonly offset: number; readonly appended: number }[] = [];
  #held = new Set<Connection>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#appended - this.#durable;
  }

  /** From here on those who publish most are held back; above all of it, everybody. */
  get crowded(): boolean {
    return this.#appended - this.#durable > this.#bytesMax / 2;
  }

  get full(): boolean {
    return this.#appended - this.#durable > this.#bytesMax;
  }

  add(bytes: number): void {
    this.#appended += bytes;
  }

  /** Once a turn: what has been appended so far ends at `offset`. */
  mark(offset: number): void {
    const last = this.#marks.at(-1);
    if (last === undefined ? this.#appended > this.#durable : last.appended < this.#appended) {
      this.#marks.push({ offset, appended: this.#appended });
    }
  }

  synced(durable: number): void {
    let passed = 0;
    while (passed < this.#marks.length && this.#marks[passed]!.offset < durable) passed++;
    if (passed > 0) {
      this.#durable = this.#marks[passed - 1]!.appended;
      this.#marks.splice(0, passed);
    }
    if (this.#held.size === 0 || this.bytes > this.#bytesMax / 4) return;
    const held = this.#held;
    this.#held = new Set();
    for (const connection of held) connection.releaseRead("journal");
  }

  hold(connection: Connection): void {
    const { core } = connection;
    if (this.#held.has(connection) || (!this.full && this.#isModest(connection))) return;
    core.reached.count("backlogBytesMax");
    this.#held.add(connection);
    connection.holdRead("journal");
  }

  /** It adds little, also compared with what there is room for: those who were held long ago count as little, too. */
  #isModest(connection: Connection): boolean {
    const { meter, lastReceived } = connection;
    return meter === null || meter.recent(lastReceived) < this.#bytesMax / 64 || !meter.isHeavy(lastReceived);
  }

  forget(connection: Connection): void {
    this.#held.delete(connection);
  }
}
