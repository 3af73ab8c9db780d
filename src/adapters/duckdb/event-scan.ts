/** Reads files of events row by row, in their order: only those of some topics, and of some time. Changes nothing. */
import { DuckDBBlobValue, DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import { kib } from "../../base/mod.ts";
import type { Bytes, EpochMs, Message, QoS } from "../../base/mod.ts";

export interface ScanWanted {
  /** MQTT topic filters, one of which the topic may match: rows of others may come nevertheless. */
  readonly filters: readonly string[];
  /** Accepted in [from, to). */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Of the log: rows from this offset on. */
  readonly fromOffset: number;
  readonly belowOffset: number;
}

/** Without what its publisher said beside it (MQTT's properties). */
export interface ScannedEvent {
  readonly offset: number;
  readonly message: Message;
}

const COLUMNS =
  '"offset"::DOUBLE, epoch_ms("time")::DOUBLE, topic, client, thing, qos::INTEGER, retain, coalesce(payload, encode(text))';

export class EventScan {
  readonly #instance: DuckDBInstance;
  /** One per file that is being read; bounded by the caller. */
  readonly #connections = new Set<DuckDBConnection>();

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  static async open(memoryBytes: Bytes): Promise<EventScan> {
    const instance = await DuckDBInstance.create(":memory:", {
      threads: "1", // the second core is the broker's
      memory_limit: `${Math.floor(memoryBytes / kib(1))}KiB`,
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
      temp_directory: "",
    });
    return new EventScan(instance);
  }

  /** Rejects where the file is not there any more, or damaged. */
  async *read(path: string, wanted: ScanWanted): AsyncGenerator<readonly ScannedEvent[]> {
    const connection = await this.#instance.connect();
    this.#connections.add(connection);
    try {
      const file = `read_parquet(${text(path)}, hive_partitioning = false)`;
      const result = await connection.stream(`SELECT ${COLUMNS} FROM ${file} WHERE ${conditionOf(wanted)}`);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        yield eventsOf(chunk.getColumns(), chunk.rowCount);
      }
    } finally {
      this.#connections.delete(connection);
      connection.closeSync();
    }
  }

  close(): void {
    for (const connection of this.#connections) connection.closeSync();
    this.#connections.clear();
    this.#instance.closeSync();
  }
}

function eventsOf(columns: readonly (readonly DuckDBValue[])[], rows: number): ScannedEvent[] {
  const [offsets, times, topics, clients, things, qos, retained, payloads] = columns;
  return Array.from({ length: rows }, (_, row) => {
    const payload = payloads![row];
    return {
      offset: offsets![row] as number,
      message: {
        topic: topics![row] as string,
        payload: payload instanceof DuckDBBlobValue ? payload.bytes : new Uint8Array(0),
        qos: qos![row] as QoS,
        retain: retained![row] as boolean,
        clientId: clients![row] as string,
        thing: things![row] as string | null,
        receivedAt: times![row] as number,
        properties: null,
      },
    };
  });
}

function conditionOf({ filters, from, to, fromOffset, belowOffset }: ScanWanted): string {
  const topics = filters.map(topicCondition).join(" OR ");
  const moment = (time: EpochMs): string => `make_timestamptz(${Math.trunc(time)} * 1000)`;
  return `("offset" >= ${fromOffset} AND "offset" < ${belowOffset} AND "time" >= ${moment(from)} AND "time" < ${moment(to)} AND (${topics}))`;
}

/** As ranges, which row groups are skipped by. What stands behind the first wildcard is left to whoever reads. */
function topicCondition(filter: string): string {
  const levels = filter.split("/");
  const wild = levels.findIndex((level) => level === "+" || level === "#");
  if (wild < 0) return `topic = ${text(filter)}`;
  if (wild === 0) return "true";
  const above = levels.slice(0, wild).join("/");
  // "0" comes after "/"; and `a/#` matches `a` (MQTT 5.0 section 4.7.1.2).
  const below = `(topic >= ${text(`${above}/`)} AND topic < ${text(`${above}0`)})`;
  return levels[wild] === "#" ? `(topic = ${text(above)} OR ${below})` : below;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
