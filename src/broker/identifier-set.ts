/**
 * Packet identifiers in use, at two to four bytes each; a `Set` takes ten times that, and a session keeps its identifiers
 * for as long as its client likes. Open addressing with linear probing; 0, which is no identifier, marks a free place.
 */
const CAPACITY_MIN = 8;

export class IdentifierSet {
  #places = new Uint16Array(CAPACITY_MIN);
  size = 0;

  has(identifier: number): boolean {
    return this.#places[this.#find(identifier)] === identifier;
  }

  /** False where it was there. */
  add(identifier: number): boolean {
    const at = this.#find(identifier);
    if (this.#places[at] === identifier) return false;
    this.#places[at] = identifier;
    this.size++;
    if (this.size * 4 > this.#places.length * 3) this.#resize(this.#places.length * 2);
    return true;
  }

  /** False where it was not there. */
  delete(identifier: number): boolean {
    const places = this.#places;
    const mask = places.length - 1;
    let gap = this.#find(identifier);
    if (places[gap] !== identifier) return false;
    this.size--;
    for (let at = (gap + 1) & mask; places[at] !== 0; at = (at + 1) & mask) {
      // Moved into the gap unless that lies before the place where its search begins.
      if (((at - this.#home(places[at]!)) & mask) < ((at - gap) & mask)) continue;
      places[gap] = places[at]!;
      gap = at;
    }
    places[gap] = 0;
    if (this.size * 8 < places.length && places.length > CAPACITY_MIN) this.#resize(places.length / 2);
    return true;
  }

  /** In no particular order. */
  values(): number[] {
    return Array.from(this.#places).filter((identifier) => identifier !== 0);
  }

  #home(identifier: number): number {
    return Math.imul(identifier, 40_503) & (this.#places.length - 1);
  }

  /** Where it is, or would be put. */
  #find(identifier: number): number {
    const places = this.#places;
    let at = this.#home(identifier);
    while (places[at] !== 0 && places[at] !== identifier) at = (at + 1) & (places.length - 1);
    return at;
  }

  #resize(capacity: number): void {
    const identifiers = this.values();
    this.#places = new Uint16Array(capacity);
    for (const identifier of identifiers) this.#places[this.#find(identifier)] = identifier;
  }
}
