/** A set of characters (code points): ranges, and Unicode properties that JavaScript knows. */

export type Range = readonly [from: number, to: number];

const UNICODE_MAX = 0x10ffff;
const ASCII = 128;

/** What of Java's `\p{…}` is known: POSIX names mean ASCII, the others are Unicode's. */
const POSIX: Readonly<Record<string, readonly Range[]>> = {
  alpha: ranges("AZaz"),
  digit: ranges("09"),
  alnum: ranges("09AZaz"),
  upper: ranges("AZ"),
  lower: ranges("az"),
  punct: ranges("!/:@[`{~"),
  graph: ranges("!~"),
  print: ranges(" ~"),
  blank: ranges("\t\t  "),
  space: ranges("\t\r  "),
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  xdigit: ranges("09AFaf"),
  ascii: [[0, 127]],
  word: ranges("09AZ__az"),
};

const UNICODE = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfo]?)$/;
const SCRIPT = /^Is(Latin|Greek|Cyrillic|Han|Hiragana|Katakana|Arabic|Hebrew|Hangul|Thai|Devanagari|Alphabetic)$/;

/** `"AZaz"` → A–Z and a–z. */
function ranges(pairs: string): readonly Range[] {
  const found: Range[] = [];
  for (let i = 0; i < pairs.length; i += 2) found.push([pairs.charCodeAt(i), pairs.charCodeAt(i + 1)]);
  return found;
}

interface Property {
  readonly pattern: RegExp;
  readonly negated: boolean;
}

export class CharSet {
  readonly #ranges: readonly Range[];
  readonly #properties: readonly Property[];
  readonly #negated: boolean;
  /** The answer for ASCII, looked up. */
  readonly #ascii: Uint8Array;

  constructor(wanted: readonly Range[], properties: readonly Property[] = [], negated = false) {
    this.#ranges = wanted;
    this.#properties = properties;
    this.#negated = negated;
    this.#ascii = Uint8Array.from({ length: ASCII }, (_, code) => (this.#contains(code) ? 1 : 0));
  }

  has(code: number): boolean {
    return code < ASCII ? this.#ascii[code] === 1 : this.#contains(code);
  }

  /** The only character, where there is but one. */
  get single(): number | null {
    const [first] = this.#ranges;
    const one = !this.#negated && this.#properties.length === 0 && this.#ranges.length === 1;
    return one && first![0] === first![1] ? first![0] : null;
  }

  negated(): CharSet {
    return new CharSet(this.#ranges, this.#properties, !this.#negated);
  }

  /** Everything in either; a set that is itself negated is turned into what it leaves. */
  static union(sets: readonly CharSet[], negated: boolean): CharSet {
    const parts: Range[] = [];
    const properties: Property[] = [];
    for (const set of sets) {
      const turned = set.#negated && set.#properties.length > 0;
      parts.push(...(set.#negated ? (turned ? [] : complement(set.#ranges)) : set.#ranges));
      properties.push(...set.#properties.map((p) => ({ pattern: p.pattern, negated: p.negated !== set.#negated })));
    }
    return new CharSet(parts, properties, negated);
  }

  /** With the other case of its ASCII letters, as Java's (?i) has it. */
  ignoringCase(): CharSet {
    const more: Range[] = [];
    for (const [from, to] of this.#ranges) {
      for (let code = Math.max(from, 65); code <= Math.min(to, 90); code++) more.push([code + 32, code + 32]);
      for (let code = Math.max(from, 97); code <= Math.min(to, 122); code++) more.push([code - 32, code - 32]);
    }
    return new CharSet([...this.#ranges, ...more], this.#properties, this.#negated);
  }

  #contains(code: number): boolean {
    let found = this.#ranges.some(([from, to]) => code >= from && code <= to);
    if (!found && this.#properties.length > 0) {
      const character = String.fromCodePoint(code);
      found = this.#properties.some(({ pattern, negated }) => pattern.test(character) !== negated);
    }
    return found !== this.#negated;
  }
}

function complement(taken: readonly Range[]): readonly Range[] {
  const left: Range[] = [];
  let from = 0;
  for (const [start, end] of taken.toSorted((a, b) => a[0] - b[0])) {
    if (start > from) left.push([from, start - 1]);
    from = Math.max(from, end + 1);
  }
  if (from <= UNICODE_MAX) left.push([from, UNICODE_MAX]);
  return left;
}

export function oneCharacter(code: number): CharSet {
  return new CharSet([[code, code]]);
}

export const DIGITS = new CharSet(POSIX["digit"]!);
export const WORDS = new CharSet(POSIX["word"]!);
/** Java's \s: space, \t \n \v \f \r. */
export const SPACES = new CharSet(POSIX["space"]!);
export const HORIZONTAL_SPACES = new CharSet([...POSIX["blank"]!, [0xa0, 0xa0]]);
export const ANYTHING = new CharSet([[0, UNICODE_MAX]]);
/** Java's line terminators, which `.` does not match. */
export const LINE_ENDS = new CharSet([
  [10, 10],
  [13, 13],
  [0x85, 0x85],
  [0x2028, 0x2029],
]);

/** The set behind `\p{name}` or `[:name:]`; null where it is not known. */
export function namedSet(name: string): CharSet | null {
  const posix = POSIX[name.toLowerCase()];
  if (posix !== undefined && Object.hasOwn(POSIX, name.toLowerCase())) return new CharSet(posix);
  const script = SCRIPT.exec(name)?.[1];
  if (script !== undefined) {
    const property = script === "Alphabetic" ? script : `Script=${script}`;
    return new CharSet([], [{ pattern: new RegExp(`\\p{${property}}`, "u"), negated: false }]);
  }
  if (!UNICODE.test(name)) return null;
  return new CharSet([], [{ pattern: new RegExp(`\\p{${name}}`, "u"), negated: false }]);
}
