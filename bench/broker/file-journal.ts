/** The least that is a durable journal, for measuring the broker alone: one file, one write and one fdatasync per batch. */
import { fdatasyncSync, openSync } from "node:fs";
import { fdatasync, write } from "node:fs";
import { wordsOf } from "../../src/base/mod.ts";
import type { Cancel, Message, EpochMs } from "../../src/base/mod.ts";
import type { Journal, Publisher, Replayed } from "../../src/broker/mod.ts";
import type { PublishView } from "../../src/wire/mqtt/mod.ts";
import {
  messageRecordBytes,
  noteBytes,
  readLogged,
  recordBytes,
  writeMessageRecord,
  writeNote,
  writeRecord,
} from "../../src/wire/record/mod.ts";
import type { SessionNote } from "../../src/wire/record/mod.ts";

const BATCH_BYTES = 4 * 1024 * 1024;
/** The file is reused from here on, so that a long run does not fill the disk. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;

export class FileJournal implements Journal {
  durable = 0;
  syncs = 0;
  readonly #file: number;
  readonly #listeners = new Set<(durable: number) => void>();
  #next = 0;
  #position = 0;
  #batch = new Uint8Array(BATCH_BYTES);
  #other = new Uint8Array(BATCH_BYTES);
  #length = 0;
  #busy = false;
  #planned = false;

  constructor(path: string) {
    this.#file = openSync(path, "w+");
    fdatasyncSync(this.#file);
  }

  append(_topic: string, view: PublishView, publisher: Publisher, receivedAt: EpochMs, identified: boolean): number {
    const at = this.#reserve(recordBytes(view, publisher.encoded!, identified));
    this.#length = writeRecord(this.#batch, wordsOf(this.#batch), at, view, publisher.encoded!, receivedAt, identified);
    return this.#appended();
  }

  appendMessage(message: Message): number {
    const at = this.#reserve(messageRecordBytes(message));
    this.#length = writeMessageRecord(this.#batch, at, message);
    return this.#appended();
  }

  appendNote(note: SessionNote): number {
    const at = this.#reserve(noteBytes(note));
    this.#length = writeNote(this.#batch, at, note, 0);
    return this.#appended();
  }

  /** Nothing is patient here. */
  hurry(): void {}

  onDurable(listener: (durable: number) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nothing is found again: the benchmark's subscribers keep up, or the run is not valid. */
  read(): Promise<Message | null> {
    return Promise.resolve(null);
  }

  async *replay(): AsyncIterable<Replayed> {
    if (this.#length < 0) yield { offset: 0, ...readLogged(this.#batch) };
  }

  #reserve(length: number): number {
    if (this.#length + length > this.#batch.length) {
      const larger = new Uint8Array(this.#batch.length * 2);
      larger.set(this.#batch.subarray(0, this.#length));
      this.#batch = larger;
    }
    return this.#length;
  }

  #appended(): number {
    if (!this.#planned && !this.#busy) {
      this.#planned = true;
      setImmediate(() => this.#commit());
    }
    return this.#next++;
  }

  #commit(): void {
    this.#planned = false;
    if (this.#busy || this.#length === 0) return;
    this.#busy = true;
    const full = this.#batch;
    const length = this.#length;
    const covered = this.#next;
    this.#batch = this.#other;
    this.#other = full;
    this.#length = 0;
    if (this.#position + length > FILE_BYTES_MAX) this.#position = 0;
    write(this.#file, full, 0, length, this.#position, (error) => {
      if (error !== null) throw error;
      this.#position += length;
      fdatasync(this.#file, (syncError) => {
        if (syncError !== null) throw syncError;
        this.#busy = false;
        this.syncs++;
        this.durable = covered;
        for (const listener of this.#listeners) listener(covered);
        this.#commit();
      });
    });
  }
}
