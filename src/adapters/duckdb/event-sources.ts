/** Topic, client and thing of records, numbered. One step's; bounded by its rows. */
import { decodeUtf8 } from "../../base/mod.ts";
import type { RecordHead } from "../../wire/record/mod.ts";

interface Source {
  /** As they lie in the record, lengths included, so that equal bytes are equal sources. */
  readonly key: Uint8Array;
  readonly topic: string;
  readonly client: string;
  readonly thing: string | null;
}

export class SourceTable {
  readonly #sources: Source[] = [];
  /** By hash; one that is taken by another source has its place at the next free number. */
  readonly #numbers = new Map<number, number>();

  get size(): number {
    return this.#sources.length;
  }

  /** HOT: a hash and a comparison where the source is known. */
  number(record: Uint8Array, head: RecordHead): number {
    const from = head.topicStart - 2; // its length: without it two sources could have the same bytes
    const to = Math.max(head.clientIdEnd, head.thingEnd);
    let hash = 0x811c9dc5 ^ head.thingEnd; // FNV-1a
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ record[i]!, 0x01000193);
    for (; ; hash = (hash + 1) | 0) {
      const number = this.#numbers.get(hash);
      if (number === undefined) return this.#add(hash, record, head, from, to);
      if (isSame(this.#sources[number]!, record, head, from, to)) return number;
    }
  }

  rows(from: number, most: number): (number | string | null)[][] {
    return this.#sources
      .slice(from, from + most)
      .map(({ topic, client, thing }, row) => [from + row, topic, client, thing]);
  }

  #add(hash: number, record: Uint8Array, head: RecordHead, from: number, to: number): number {
    const number = this.#sources.length;
    this.#sources.push({
      key: record.slice(from, to),
      topic: decodeUtf8(record, head.topicStart, head.topicEnd),
      client: decodeUtf8(record, head.clientIdStart, head.clientIdEnd),
      thing: head.thingEnd === 0 ? null : decodeUtf8(record, head.thingStart, head.thingEnd),
    });
    this.#numbers.set(hash, number);
    return number;
  }
}

function isSame({ key, thing }: Source, record: Uint8Array, head: RecordHead, from: number, to: number): boolean {
  if (key.length !== to - from || (thing === null) !== (head.thingEnd === 0)) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== record[from + i]) return false;
  return true;
}
