/** Single records out of the files. Those read one after the other come from the same open file and the same window. */
import { copyRecord } from "./batch.ts";
import { isMissing } from "./ports.ts";
import type { LogFile } from "./ports.ts";
import type { BatchStep, SegmentScanner } from "./scan.ts";
import type { Segment } from "./segments.ts";
import { scannerAt } from "./stream.ts";
import type { StreamSource } from "./stream.ts";

/** Where the last read left off. */
interface Place {
  readonly segment: Segment;
  readonly file: LogFile;
  readonly scanner: SegmentScanner;
  /** The batch in the scanner's window; `null` where damage or the end was met. */
  batch: BatchStep | null;
}

export class RecordReader {
  readonly #source: StreamSource;
  #place: Place | null = null;
  /** Reads take turns: they share the window. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** A copy of the durable record at `offset`, or `null` where it is damaged, removed, or was never there. */
  read(offset: number): Promise<Uint8Array | null> {
    return this.#inTurn(() => this.#read(offset));
  }

  /** Closes the file that was kept open. */
  forget(): Promise<void> {
    return this.#inTurn(() => this.#leave());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #read(offset: number): Promise<Uint8Array | null> {
    const place = await this.#placeFor(offset);
    if (place === null) return null;
    try {
      const batch = await this.#seek(place, offset);
      if (batch === null) return null;
      const { scanner } = place;
      return copyRecord(scanner.bytes, scanner.view, scanner.bodyIndex(batch), offset - batch.header.baseOffset);
    } catch (error) {
      await this.#leave();
      throw error;
    }
  }

  /** Moves the scanner forward to the batch that holds `offset`. */
  async #seek(place: Place, offset: number): Promise<BatchStep | null> {
    while (place.batch === null || place.scanner.expected <= offset) {
      const step = await place.scanner.next();
      place.batch = step.kind === "batch" ? step : null;
      if (step.kind === "batch") place.segment.index.note(step.header.baseOffset, step.position);
      else if (step.kind === "end" || step.below === null || step.below > offset) {
        await this.#leave();
        return null;
      }
    }
    if (place.batch.header.baseOffset <= offset) return place.batch;
    await this.#leave();
    return null;
  }

  async #placeFor(offset: number): Promise<Place | null> {
    const { table, directory } = this.#source;
    for (;;) {
      const segment = table.at(offset);
      if (segment === undefined || segment.baseOffset > offset) return null;
      const place = this.#place;
      if (place?.segment === segment && reachable(place, offset)) return place;
      await this.#leave();
      try {
        const file = await directory.open(segment.name, "read");
        const scanner = scannerAt(this.#source, segment, file, offset);
        return (this.#place = { segment, file, scanner, batch: null });
      } catch (error) {
        if (!isMissing(error)) throw error;
        table.drop(segment);
        await this.#source.refresh();
      }
    }
  }

  async #leave(): Promise<void> {
    const place = this.#place;
    this.#place = null;
    await place?.file.close();
  }
}

/** Whether going on from `place` is no longer a way than from the nearest point of the index. */
function reachable(place: Place, offset: number): boolean {
  if (place.batch === null || offset < place.batch.header.baseOffset) return false;
  return place.segment.index.floor(offset).offset <= place.scanner.expected;
}
