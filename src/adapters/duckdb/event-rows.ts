/**
 * Records of the log as rows of events. Topic, client and thing repeat: they are found by their bytes and kept once per
 * step, and a row holds their number.
 */
import { isUtf8 } from "node:buffer";
import { BIGINT, BLOB, BOOLEAN, DuckDBDataChunk, INTEGER, TINYINT, VARCHAR } from "@duckdb/node-api";
import type { DuckDBAppender, DuckDBConnection, DuckDBType } from "@duckdb/node-api";
import type { EventFileFacts, EventStep } from "../../archive/mod.ts";
import { dayOf } from "../../archive/mod.ts";
import { STAMP_OUTBOX, STAMP_SEQUENCE, encodeUtf8, stampOf } from "../../base/mod.ts";
import type { Bytes, MessageProperties } from "../../base/mod.ts";
import { RecordError, recordHead, recordProperties } from "../../wire/record/mod.ts";
import type { RecordHead } from "../../wire/record/mod.ts";
import { BytesColumn, CHUNK_ROWS, NumberColumn, newChunk } from "./event-chunk.ts";
import type { RawChunk } from "./event-chunk.ts";
import { SourceTable } from "./event-sources.ts";

const NUMBERS = {
  offset: { at: 0, type: BIGINT },
  time: { at: 1, type: BIGINT },
  day: { at: 2, type: TINYINT },
  source: { at: 3, type: INTEGER },
  qos: { at: 4, type: TINYINT },
  retain: { at: 5, type: BOOLEAN },
  payloadFormat: { at: 6, type: TINYINT },
  expiresAfter: { at: 7, type: BIGINT },
  sequence: { at: 8, type: BIGINT },
} as const;
const BYTES = {
  text: { at: 9, type: VARCHAR },
  payload: { at: 10, type: BLOB },
  contentType: { at: 11, type: VARCHAR },
  responseTopic: { at: 12, type: VARCHAR },
  correlation: { at: 13, type: BLOB },
  pairs: { at: 14, type: VARCHAR },
  outbox: { at: 15, type: VARCHAR },
} as const;
const COLUMNS = [...Object.values(NUMBERS), ...Object.values(BYTES)];
const ROW_TYPES: readonly DuckDBType[] = COLUMNS.map(({ type }) => type);

export const ROWS_TABLE =
  'CREATE OR REPLACE TABLE step_rows ("offset" BIGINT, "time" BIGINT, day TINYINT, source INTEGER, qos TINYINT, retain BOOLEAN, ' +
  "payload_format TINYINT, expires_after BIGINT, sequence BIGINT, text VARCHAR, payload BLOB, content_type VARCHAR, " +
  "response_topic VARCHAR, correlation BLOB, pairs VARCHAR, outbox VARCHAR)";

export const SOURCES_TABLE =
  "CREATE OR REPLACE TABLE step_sources (id INTEGER, topic VARCHAR, client VARCHAR, thing VARCHAR)";

/** The columns of a file of events, in their order; docs/internals/archive.md says what each means. */
export const EVENT_COLUMNS =
  'step_rows."offset", make_timestamptz(step_rows."time" * 1000) AS "time", topic, thing, client, qos, retain, text, payload, ' +
  "content_type, response_topic, correlation, " +
  "CAST(CAST(pairs AS JSON) AS STRUCT(name VARCHAR, value VARCHAR)[]) AS user_properties, " +
  "payload_format, expires_after, outbox, sequence";

const SOURCE_TYPES = [INTEGER, VARCHAR, VARCHAR, VARCHAR];
const DAY_MS = 86_400_000;

export interface EventTables {
  readonly write: (day: number, path: string, rowBytes: Bytes) => Promise<EventFileFacts>;
  readonly discard: () => Promise<void>;
}

export class EventRows implements EventStep {
  rows = 0;
  bytes = 0;
  unreadable = 0;
  readonly days: string[] = [];
  readonly #tables: EventTables;
  readonly #connection: DuckDBConnection;
  readonly #sources = new SourceTable();
  readonly #numbers = new NumberColumns();
  readonly #texts = new BytesColumns();
  #appender: DuckDBAppender | null;
  #chunk: RawChunk | null = null;
  #used = 0;
  /** The day of the last row: most rows are of the same. */
  #dayFrom = 0;
  #dayBelow = 0;
  #day = -1;

  /** `rows`: of the rows' table. */
  constructor(connection: DuckDBConnection, rows: DuckDBAppender, tables: EventTables) {
    this.#connection = connection;
    this.#appender = rows;
    this.#tables = tables;
  }

  take(offset: number, bytes: Uint8Array, from: number, to: number): void {
    const record = bytes.subarray(from, to);
    try {
      const head = recordHead(record);
      this.#add(offset, record, head, recordProperties(record, head));
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      if (error.kind !== "note") this.unreadable++;
    }
  }

  async write(day: string, path: string): Promise<EventFileFacts> {
    await this.#finish();
    return this.#tables.write(this.days.indexOf(day), path, this.bytes / Math.max(1, this.rows));
  }

  async discard(): Promise<void> {
    this.#appender?.closeSync();
    this.#appender = null;
    await this.#tables.discard();
  }

  #add(offset: number, record: Uint8Array, head: RecordHead, properties: MessageProperties | null): void {
    const { vectors } = (this.#chunk ??= newChunk(ROW_TYPES));
    const row = this.#used;
    const numbers = this.#numbers;
    numbers.offset.set(row, offset);
    numbers.time.set(row, head.receivedAt);
    numbers.day.set(row, this.#dayNumber(head.receivedAt));
    numbers.source.set(row, this.#sources.number(record, head));
    numbers.qos.set(row, head.qos);
    numbers.retain.set(row, head.retain ? 1 : 0);
    const payload = record.subarray(head.payloadStart);
    // A NUL is text too, but ends it for half of the readers.
    if (isUtf8(payload) && !payload.includes(0)) this.#texts.text.set(vectors[BYTES.text.at]!, row, payload);
    else this.#texts.payload.set(vectors[BYTES.payload.at]!, row, payload);
    if (properties !== null) this.#addProperties(row, vectors, properties);
    this.rows++;
    this.bytes += record.length;
    if (++this.#used === CHUNK_ROWS) this.#flush();
  }

  /** The stamp has columns of its own and is left out of the pairs. */
  #addProperties(row: number, vectors: RawChunk["vectors"], properties: MessageProperties): void {
    const numbers = this.#numbers;
    const texts = this.#texts;
    const { contentType, responseTopic, correlationData, userProperties, payloadFormat, messageExpirySeconds } =
      properties;
    if (payloadFormat !== undefined) numbers.payloadFormat.set(row, payloadFormat);
    if (messageExpirySeconds !== undefined) numbers.expiresAfter.set(row, messageExpirySeconds);
    const set = (column: keyof typeof BYTES, value: Uint8Array): void =>
      texts[column].set(vectors[BYTES[column].at]!, row, value);
    if (contentType !== undefined) set("contentType", encodeUtf8(contentType));
    if (responseTopic !== undefined) set("responseTopic", encodeUtf8(responseTopic));
    if (correlationData !== undefined) set("correlation", correlationData);
    if (userProperties === undefined) return;
    const stamp = stampOf(properties);
    if (stamp !== null) {
      set("outbox", encodeUtf8(stamp.outbox));
      numbers.sequence.set(row, stamp.sequence);
    }
    const pairs = stamp === null ? userProperties : userProperties.filter((pair) => !isStamp(pair, stamp));
    if (pairs.length > 0) set("pairs", encodeUtf8(JSON.stringify(pairs.map(([name, value]) => ({ name, value })))));
  }

  #dayNumber(time: number): number {
    if (time >= this.#dayFrom && time < this.#dayBelow) return this.#day;
    this.#dayFrom = time - (time % DAY_MS);
    this.#dayBelow = this.#dayFrom + DAY_MS;
    const day = dayOf(time);
    this.#day = this.days.indexOf(day);
    if (this.#day < 0) this.#day = this.days.push(day) - 1;
    return this.#day;
  }

  #flush(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#numbers.copyTo(chunk);
    this.#texts.copyTo(chunk);
    chunk.chunk.rowCount = this.#used;
    this.#appender!.appendDataChunk(chunk.chunk);
    this.#chunk = null;
    this.#used = 0;
  }

  /** All rows and sources are in their tables afterwards. */
  async #finish(): Promise<void> {
    if (this.#appender === null) return;
    this.#flush();
    this.#appender.closeSync();
    this.#appender = null;
    const sources = await this.#connection.createAppender("step_sources");
    try {
      for (let from = 0; from < this.#sources.size; from += CHUNK_ROWS) {
        const rows = this.#sources.rows(from, CHUNK_ROWS);
        const chunk = DuckDBDataChunk.create(SOURCE_TYPES, rows.length);
        chunk.setRows(rows);
        sources.appendDataChunk(chunk);
      }
    } finally {
      sources.closeSync();
    }
  }
}

class NumberColumns {
  readonly offset = new NumberColumn(8);
  readonly time = new NumberColumn(8);
  readonly day = new NumberColumn(1);
  readonly source = new NumberColumn(4);
  readonly qos = new NumberColumn(1);
  readonly retain = new NumberColumn(1);
  readonly payloadFormat = new NumberColumn(1);
  readonly expiresAfter = new NumberColumn(8);
  readonly sequence = new NumberColumn(8);

  copyTo({ vectors }: RawChunk): void {
    for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) this[name].copyTo(vectors[NUMBERS[name].at]!);
  }
}

class BytesColumns {
  readonly text = new BytesColumn();
  readonly payload = new BytesColumn();
  readonly contentType = new BytesColumn();
  readonly responseTopic = new BytesColumn();
  readonly correlation = new BytesColumn();
  readonly pairs = new BytesColumn();
  readonly outbox = new BytesColumn();

  copyTo({ vectors }: RawChunk): void {
    for (const name of Object.keys(BYTES) as (keyof typeof BYTES)[]) this[name].copyTo(vectors[BYTES[name].at]!);
  }
}

function isStamp([name, value]: readonly [string, string], stamp: { outbox: string; sequence: number }): boolean {
  return (
    (name === STAMP_OUTBOX && value === stamp.outbox) || (name === STAMP_SEQUENCE && value === String(stamp.sequence))
  );
}
