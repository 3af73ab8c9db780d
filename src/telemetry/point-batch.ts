/** Points of many messages as columns: what one commit writes. */

/** Times are epoch milliseconds; a boolean is 0 or 1, its series knows. Columns are valid up to their count. */
export class PointBatch {
  /** Numbers and booleans. */
  count = 0;
  series = new Int32Array(1024);
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  /** Strings; all three have the same length. */
  readonly textSeries: number[] = [];
  readonly textTimes: number[] = [];
  readonly texts: string[] = [];

  get rows(): number {
    return this.count + this.texts.length;
  }

  add(series: number, time: number, value: number): void {
    if (this.count === this.series.length) this.#grow();
    this.series[this.count] = series;
    this.times[this.count] = time;
    this.values[this.count++] = value;
  }

  addText(series: number, time: number, text: string): void {
    this.textSeries.push(series);
    this.textTimes.push(time);
    this.texts.push(text);
  }

  /** Empties it and keeps the memory, unless one large batch made it large. */
  clear(): void {
    this.count = 0;
    this.textSeries.length = 0;
    this.textTimes.length = 0;
    this.texts.length = 0;
    if (this.series.length > 65_536) {
      this.series = new Int32Array(1024);
      this.times = new Float64Array(1024);
      this.values = new Float64Array(1024);
    }
  }

  #grow(): void {
    const size = this.series.length * 2;
    this.series = grown(new Int32Array(size), this.series);
    this.times = grown(new Float64Array(size), this.times);
    this.values = grown(new Float64Array(size), this.values);
  }
}

function grown<A extends Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(larger: A, old: A): A {
  larger.set(old);
  return larger;
}
