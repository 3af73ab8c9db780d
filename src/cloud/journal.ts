/** The broker's journal: messages as records in the durable log. */
import { ForgottenThings, reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, EpochMs, Logger, Message, Metrics } from "../base/mod.ts";
import type { Log } from "../log/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import {
  RecordError,
  encodePublisher,
  messageRecordBytes,
  noteBytes,
  readLogged,
  recordBytes,
  recordTime,
  writeMessageRecord,
  writeNote,
  writeRecord,
} from "../wire/record/mod.ts";
import type { EncodedPublisher, Logged, SessionNote } from "../wire/record/mod.ts";

export interface JournalOptions {
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Nobody is given these. */
  readonly forgotten?: Pick<ForgottenThings, "skips">;
}

/** The publishing connection: one object for all its messages. */
export interface JournalPublisher {
  readonly clientId: string;
  readonly thing: string | null;
  /** Both as they stand in a record, where the caller has them. */
  readonly encoded?: EncodedPublisher;
}

type Kept = { readonly offset: number } & Logged;

/** Serves the broker's `Journal` port. */
export class LogJournal {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #unreadable: Counter;
  readonly #forgotten: Pick<ForgottenThings, "skips">;
  /** Gone with the connection. */
  readonly #publishers = new WeakMap<JournalPublisher, EncodedPublisher>();

  constructor(options: JournalOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#forgotten = options.forgotten ?? new ForgottenThings();
    this.#unreadable = options.metrics.counter({
      name: "tidewire_log_unreadable_records_total",
      help: "Records of the log that are whole, yet cannot be read: written by a newer Tidewire, or by a mistake.",
    });
  }

  get durable(): number {
    return this.#log.durable;
  }

  /**
   * HOT: writes straight into the log's batch and allocates nothing. `publisher` is the same object for all messages of a
   * connection; `identified`: the record keeps the packet
   * identifier. Throws LOG_FULL, LOG_FAILED, LOG_RECORD_TOO_LARGE.
   */
  append(
    _topic: string,
    view: PublishView,
    publisher: JournalPublisher,
    receivedAt: EpochMs,
    identified: boolean,
  ): number {
    const encoded = publisher.encoded ?? this.#encoded(publisher);
    const log = this.#log;
    const at = log.reserve(recordBytes(view, encoded, identified));
    writeRecord(log.buffer, log.words, at, view, encoded, receivedAt, identified);
    return log.commit();
  }

  /** `patient`: nobody waits for it. Throws as `append` does, and `RecordError` where MQTT could not carry the message. */
  appendMessage(message: Message, patient = false): number {
    const log = this.#log;
    const at = log.reserve(messageRecordBytes(message));
    writeMessageRecord(log.buffer, at, message);
    return patient ? log.commitPatiently() : log.commit();
  }

  hurry(offset: number): void {
    this.#log.hurry(offset);
  }

  /** Throws as `append` does. */
  appendNote(note: SessionNote): number {
    const log = this.#log;
    const at = log.reserve(noteBytes(note));
    writeNote(log.buffer, at, note, this.#clock.now());
    return log.commit();
  }

  onDurable(listener: (durable: number) => void): Cancel {
    return this.#log.onDurable(listener);
  }

  /** `null` also where the record is no message, or is forgotten. */
  async read(offset: number): Promise<Message | null> {
    const record = await this.#log.read(offset);
    const kept = record === null ? null : this.#logged(offset, record);
    if (kept?.kind !== "message" || this.#forgotten.skips(offset, kept.message)) return null;
    return kept.message;
  }

  /** When the newest record was written; null in an empty log, or where that cannot be read. */
  async newestAt(): Promise<EpochMs | null> {
    const record = this.durable === 0 ? null : await this.#log.read(this.durable - 1);
    return record === null ? null : this.#readable(this.durable - 1, () => recordTime(record));
  }

  async *replay(from: number): AsyncGenerator<Kept> {
    for await (const batch of this.#log.readBatches(from)) {
      const kept: Kept[] = [];
      batch.forEach((offset, record) => {
        const logged = this.#logged(offset, record.slice()); // it outlives the batch
        if (logged === null || (logged.kind === "message" && this.#forgotten.skips(offset, logged.message))) return;
        kept.push({ offset, ...logged });
      });
      yield* kept;
    }
  }

  #logged(offset: number, record: Uint8Array): Logged | null {
    return this.#readable(offset, () => readLogged(record));
  }

  /** `null` where the record is nothing that this Tidewire knows: one such record must not keep the rest from anyone. */
  #readable<T>(offset: number, read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.#unreadable.value++;
      this.#logger.error("a record of the log cannot be read and was skipped", { offset, reason: reasonOf(error) });
      return null;
    }
  }

  #encoded(publisher: JournalPublisher): EncodedPublisher {
    let encoded = this.#publishers.get(publisher);
    if (encoded === undefined) this.#publishers.set(publisher, (encoded = encodePublisher(publisher)));
    return encoded;
  }
}
