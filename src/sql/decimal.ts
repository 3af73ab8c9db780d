/**
 * Numbers of up to 34 digits, from 1E-999 to 9.9E999: AWS IoT's Int and Decimal (IEEE 754 decimal128 with
 * ROUND_HALF_EVEN). A number that a double holds exactly, as it prints, stays a JavaScript number; this is for the others.
 */

const DIGITS_MAX = 34;
const EXPONENT_MAX = 999;

/** JSON's notation of a number, and an explicit + in the exponent, which JSON allows too. */
const NOTATION = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,6}))?$/;

/** `JSON.rawJSON`, of which the language's declarations do not know yet. */
const { rawJSON } = JSON as unknown as { readonly rawJSON?: (text: string) => object };

/** coefficient × 10^-scale. Immutable; without own properties, so that no path of a statement reaches into it. */
export class Decimal {
  readonly #coefficient: bigint;
  readonly #scale: number;

  private constructor(coefficient: bigint, scale: number) {
    this.#coefficient = coefficient;
    this.#scale = scale;
  }

  /** Null where the text is no number, or one beyond 9.9E999. */
  static parse(text: string): Decimal | null {
    const [, sign, whole, fraction = "", exponent = "0"] = NOTATION.exec(text) ?? [];
    if (whole === undefined) return null;
    // Digits are cut before they become a bigint: a megabyte of them would take seconds.
    const digits = (whole + fraction).replace(/^0+/, "");
    const kept = digits.slice(0, DIGITS_MAX + 1);
    const rest = /[1-9]/.test(digits.slice(DIGITS_MAX + 1)) ? "1" : "0";
    const dropped = digits.length - kept.length;
    const coefficient = BigInt(`${sign}${kept === "" ? "0" : kept}${dropped > 0 ? rest : ""}`);
    const scale = fraction.length - Number(exponent) - dropped + (dropped > 0 ? 1 : 0);
    return Decimal.#rounded(coefficient, scale);
  }

  static of(value: number): Decimal {
    return Decimal.parse(String(value)) ?? new Decimal(0n, 0);
  }

  static ofInt(value: bigint): Decimal | null {
    return Decimal.#rounded(value, 0);
  }

  static #rounded(coefficient: bigint, scale: number): Decimal | null {
    let digits = digitsOf(coefficient);
    let value = coefficient;
    let places = scale;
    if (digits > DIGITS_MAX) {
      value = shiftHalfEven(value, digits - DIGITS_MAX);
      places -= digits - DIGITS_MAX;
      digits = digitsOf(value);
    }
    const magnitude = digits - places - 1;
    if (value === 0n) return new Decimal(0n, Math.max(0, Math.min(places, DIGITS_MAX)));
    if (magnitude < -EXPONENT_MAX) return new Decimal(0n, 0);
    return magnitude > EXPONENT_MAX ? null : new Decimal(value, places);
  }

  plus(other: Decimal): Decimal | null {
    const scale = Math.max(this.#scale, other.#scale);
    return Decimal.#rounded(this.#at(scale) + other.#at(scale), scale);
  }

  minus(other: Decimal): Decimal | null {
    return this.plus(other.negated());
  }

  times(other: Decimal): Decimal | null {
    return Decimal.#rounded(this.#coefficient * other.#coefficient, this.#scale + other.#scale);
  }

  /** Null for a divisor of 0. */
  dividedBy(other: Decimal): Decimal | null {
    if (other.#coefficient === 0n) return null;
    const shift = Math.max(0, DIGITS_MAX + 2 + digitsOf(other.#coefficient) - digitsOf(this.#coefficient));
    const dividend = this.#coefficient * 10n ** BigInt(shift);
    const quotient = dividend / other.#coefficient;
    // One more digit says whether anything is left, so that a tie is told from more than a tie.
    const left = dividend % other.#coefficient === 0n ? 0n : quotient < 0n || isNegative(this, other) ? -1n : 1n;
    const exact = Decimal.#rounded(quotient * 10n + left, this.#scale - other.#scale + shift + 1);
    return exact?.stripped() ?? null;
  }

  /** With the sign of the dividend. Null for a divisor of 0. */
  remainder(other: Decimal): Decimal | null {
    if (other.#coefficient === 0n) return null;
    const scale = Math.max(this.#scale, other.#scale);
    return Decimal.#rounded(this.#at(scale) % other.#at(scale), scale);
  }

  negated(): Decimal {
    return new Decimal(-this.#coefficient, this.#scale);
  }

  /** Negative, 0 or positive, as this is less than, equal to or greater than the other. */
  compare(other: Decimal): number {
    const scale = Math.max(this.#scale, other.#scale);
    const difference = this.#at(scale) - other.#at(scale);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  get sign(): number {
    return this.#coefficient < 0n ? -1 : this.#coefficient > 0n ? 1 : 0;
  }

  /** Cuts after that many decimal places. */
  truncated(places: number): Decimal {
    if (this.#scale <= places) return this;
    return new Decimal(this.#coefficient / 10n ** BigInt(this.#scale - places), places);
  }

  floor(): Decimal {
    const cut = this.truncated(0);
    return this.sign < 0 && this.compare(cut) !== 0 ? new Decimal(cut.#at(0) - 1n, 0) : cut;
  }

  ceil(): Decimal {
    return this.negated().floor().negated();
  }

  /** To the nearest integer, halves away from zero. */
  rounded(): Decimal {
    const half = new Decimal(BigInt(this.sign) * 5n, 1);
    return (this.plus(half) ?? this).truncated(0);
  }

  /** The integer that is left when the fraction is cut off. */
  toBigInt(): bigint {
    return this.truncated(0).#at(0);
  }

  /** Without zeros at the end of the fraction. */
  stripped(): Decimal {
    let value = this.#coefficient;
    let scale = this.#scale;
    while (scale > 0 && value % 10n === 0n) {
      value /= 10n;
      scale--;
    }
    return scale === this.#scale ? this : new Decimal(value, scale);
  }

  /** Whether it was written or computed with decimal places: 10.0 has one. */
  get hasFraction(): boolean {
    return this.#scale > 0;
  }

  /** The nearest double; infinite beyond its range. */
  toNumber(): number {
    return Number(this.toString());
  }

  /** Plain notation, or scientific where that would be long, as Java's BigDecimal has it. */
  toString(): string {
    const negative = this.#coefficient < 0n;
    const digits = (negative ? -this.#coefficient : this.#coefficient).toString();
    const exponent = digits.length - this.#scale - 1;
    const sign = negative ? "-" : "";
    if (this.#scale === 0) return sign + digits;
    if (this.#scale > 0 && exponent >= -6) {
      const padded = digits.padStart(this.#scale + 1, "0");
      return `${sign}${padded.slice(0, -this.#scale)}.${padded.slice(-this.#scale)}`;
    }
    if (this.#scale < 0 && exponent < DIGITS_MAX) return sign + digits + "0".repeat(-this.#scale);
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}E${exponent < 0 ? "" : "+"}${exponent}`;
  }

  /** All digits, as a JSON number. An engine without raw JSON (old browsers) prints the nearest double. */
  toJSON(): unknown {
    return rawJSON === undefined ? this.toNumber() : rawJSON(this.toString());
  }

  #at(scale: number): bigint {
    const shift = scale - this.#scale;
    if (shift === 0) return this.#coefficient;
    return shift > 0 ? this.#coefficient * 10n ** BigInt(shift) : this.#coefficient / 10n ** BigInt(-shift);
  }
}

function isNegative(a: Decimal, b: Decimal): boolean {
  return a.sign * b.sign < 0;
}

function digitsOf(value: bigint): number {
  return value < 0n ? value.toString().length - 1 : value.toString().length;
}

/** Drops the last `digits` digits, to the nearest, ties to the even neighbour. */
function shiftHalfEven(value: bigint, digits: number): bigint {
  const unit = 10n ** BigInt(digits);
  const quotient = value / unit;
  const rest = (value < 0n ? -(value % unit) : value % unit) * 2n;
  const up = rest > unit || (rest === unit && quotient % 2n !== 0n);
  return up ? quotient + (value < 0n ? -1n : 1n) : quotient;
}
