/** One animation loop for all charts: each chart draws at most once per frame, and not at all where nothing moved. */

export interface Paintable {
  /** `force`: something else than the data changed, such as the theme. */
  paint(force: boolean): void;
}

export class Painter {
  readonly #charts = new Set<Paintable>();
  #running = false;
  #forced = false;
  /** While the user drags a selection nothing moves under the pointer. */
  frozen = false;

  add(chart: Paintable): () => void {
    this.#charts.add(chart);
    if (!this.#running) requestAnimationFrame(this.#paint);
    this.#running = true;
    return () => this.#charts.delete(chart);
  }

  /** Draws everything anew with the next frame. */
  force(): void {
    this.#forced = true;
  }

  readonly #paint = (): void => {
    this.#running = this.#charts.size > 0;
    if (this.#running) requestAnimationFrame(this.#paint);
    if (this.frozen) return;
    const force = this.#forced;
    this.#forced = false;
    for (const chart of this.#charts) chart.paint(force);
  };
}

export const painter = new Painter();
