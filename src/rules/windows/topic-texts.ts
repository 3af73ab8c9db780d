/**
 * The topics of keys. Devices of a kind publish to topics that differ by the key alone: `site/<key>/m`. Such a topic is kept as its
 * shape, which all share, and not as a text per key.
 */

/** Other topics are kept as they are. */
const SHAPES_MAX = 255;
const OWN_TEXT = 0;

interface Shape {
  readonly before: string;
  readonly after: string;
}

export class TopicTexts {
  /** Number 0 stands for a text of its own. Bounded by `SHAPES_MAX`. */
  readonly #shapes: Shape[] = [{ before: "", after: "" }];
  readonly #shapeNumbers = new Map<string, number>();
  #shapeOf = new Uint8Array(0);
  /** Of keys without a shape; bounded by the keys. */
  readonly #texts = new Map<number, string>();
  #bytes = 0;

  /** Of the texts that are kept as they are. */
  get bytes(): number {
    return this.#bytes;
  }

  grow(keys: number): void {
    const shapeOf = new Uint8Array(keys);
    shapeOf.set(this.#shapeOf);
    this.#shapeOf = shapeOf;
  }

  is(key: number, name: string, topic: string): boolean {
    const number = this.#shapeOf[key]!;
    if (number === OWN_TEXT) return this.#texts.get(key) === topic;
    const { before, after } = this.#shapes[number]!;
    return (
      topic.length === before.length + name.length + after.length &&
      topic.startsWith(before) &&
      topic.startsWith(name, before.length) &&
      topic.endsWith(after)
    );
  }

  get(key: number, name: string): string {
    const number = this.#shapeOf[key]!;
    if (number === OWN_TEXT) return this.#texts.get(key) ?? "";
    const { before, after } = this.#shapes[number]!;
    return before + name + after;
  }

  set(key: number, name: string, topic: string): void {
    this.clear(key);
    const number = this.#numberOf(name, topic);
    this.#shapeOf[key] = number;
    if (number !== OWN_TEXT) return;
    this.#texts.set(key, topic);
    this.#bytes += TEXT_BYTES + topic.length;
  }

  clear(key: number): void {
    const text = this.#texts.get(key);
    this.#shapeOf[key] = OWN_TEXT;
    if (text === undefined) return;
    this.#texts.delete(key);
    this.#bytes -= TEXT_BYTES + text.length;
  }

  #numberOf(name: string, topic: string): number {
    const at = topic.indexOf(name);
    if (at < 0) return OWN_TEXT;
    const [before, after] = [topic.slice(0, at), topic.slice(at + name.length)];
    const shape = `${before}\u0000${after}`;
    const known = this.#shapeNumbers.get(shape);
    if (known !== undefined) return known;
    if (this.#shapes.length > SHAPES_MAX) return OWN_TEXT;
    const number = this.#shapes.push({ before, after }) - 1;
    this.#shapeNumbers.set(shape, number);
    return number;
  }
}

/** A text's header, its reference and its entry in the Map. */
const TEXT_BYTES = 56;
