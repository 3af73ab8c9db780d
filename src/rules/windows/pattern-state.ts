/** FOR, ABSENT FOR and THEN … WITHIN: per key how far the pattern has come, and the message that it would speak of. */
import type { EpochMs } from "../../base/mod.ts";
import type { Pattern } from "../../sql/mod.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";
import type { StateInput } from "./state-input.ts";

/** The last message of a key that a timer may have to speak of. */
export interface Waiting {
  clientId: string;
  receivedAt: EpochMs;
  payload: Uint8Array;
}

/**
 * What a message means to the pattern. `fires` once per episode; `holds`: it has fired and goes on; `pending`: nothing is
 * known yet; `broken`: it does not hold.
 */
export type PatternStep = "fires" | "holds" | "pending" | "broken";

/** Before anything was seen. */
const NEVER = Number.NaN;

export class PatternState {
  readonly bytesPerKey = 40;
  sideBytes = 0;
  readonly #pattern: Pattern;
  readonly #waiting: (Waiting | undefined)[] = [];
  /** Event time since when it holds, or of the first step. */
  #since = new Float64Array(0);
  /** Event time of the newest message that counted. */
  #newest = new Float64Array(0);
  /** Log time at which a timer fires it. */
  #due = new Float64Array(0);
  /** Steps done; 1 also: has fired. */
  #stage = new Uint8Array(0);

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
  }

  grow(keys: number): void {
    const longer = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(keys);
      to.set(from);
      return to;
    };
    [this.#since, this.#newest, this.#due] = [longer(this.#since), longer(this.#newest), longer(this.#due)];
    const stage = new Uint8Array(keys);
    stage.set(this.#stage);
    this.#stage = stage;
    while (this.#waiting.length < keys) this.#waiting.push(undefined);
  }

  open(key: number): void {
    this.#newest[key] = NEVER;
    this.#reset(key);
  }

  drop(key: number): void {
    this.#reset(key);
  }

  due(key: number): EpochMs {
    return this.#due[key]!;
  }

  sinceOf(key: number): EpochMs {
    return this.#since[key]!;
  }

  waitingOf(key: number): Waiting {
    return this.#waiting[key]!;
  }

  /** `verdict`: of WHERE. Null where the message is older than one that counted, and so says nothing. */
  step(key: number, verdict: boolean | undefined, input: StateInput, time: EpochMs, now: EpochMs): PatternStep | null {
    // Any message is a sign of life; for the others one that is older than what counted already says nothing.
    if (this.#pattern.kind !== "absent" && time < this.#newest[key]!) return null;
    switch (this.#pattern.kind) {
      case "hold":
        return this.#hold(key, verdict, input, time, now, this.#pattern.span);
      case "absent":
        if (verdict !== true) return "pending";
        this.#newest[key] = time;
        this.#since[key] = now;
        this.#due[key] = now + this.#pattern.span;
        this.#keep(key, input);
        return "broken";
      case "sequence":
        return this.#sequence(key, verdict, input, time, this.#pattern);
    }
  }

  /** The timer of `due(key)` has come. */
  fired(key: number): void {
    this.#due[key] = Infinity;
    this.#stage[key] = 1;
    this.#forget(key);
  }

  /** Told, and to be seen again: nothing is known of the key that a new one would not know. */
  idle(key: number): boolean {
    return this.#pattern.kind === "absent" && this.#due[key] === Infinity;
  }

  write(key: number, writer: StateWriter): void {
    writer.f64(this.#since[key]!);
    writer.f64(this.#newest[key]!);
    writer.f64(this.#due[key]!);
    writer.u32(this.#stage[key]!);
    const waiting = this.#waiting[key];
    writer.u32(waiting === undefined ? 0 : 1);
    if (waiting === undefined) return;
    writer.text(waiting.clientId);
    writer.f64(waiting.receivedAt);
    writer.bytes(waiting.payload);
  }

  read(key: number, reader: StateReader): void {
    this.#forget(key);
    this.#since[key] = reader.f64();
    this.#newest[key] = reader.f64();
    this.#due[key] = reader.f64();
    this.#stage[key] = reader.u32();
    if (reader.u32() === 0) return;
    this.#waiting[key] = { clientId: reader.text(), receivedAt: reader.f64(), payload: reader.bytes() };
    this.sideBytes += sizeOf(this.#waiting[key]);
  }

  /**
   * By event time where messages come, by the log's time where none do: readings that arrive two hours late must not make
   * the first of them fire before the second one is looked at.
   */
  #hold(
    key: number,
    verdict: boolean | undefined,
    input: StateInput,
    time: EpochMs,
    now: EpochMs,
    span: number,
  ): PatternStep {
    if (verdict === undefined) return this.#stage[key] === 1 ? "holds" : "pending";
    this.#newest[key] = time;
    if (!verdict) {
      this.#reset(key);
      return "broken";
    }
    if (Number.isNaN(this.#since[key]!)) {
      this.#since[key] = time;
      this.#due[key] = now + span;
    }
    if (this.#stage[key] === 1) return "holds";
    if (time - this.#since[key]! >= span) {
      this.fired(key);
      return "fires";
    }
    this.#keep(key, input);
    return "pending";
  }

  #sequence(
    key: number,
    first: boolean | undefined,
    input: StateInput,
    time: EpochMs,
    { span, steps }: Extract<Pattern, { kind: "sequence" }>,
  ): PatternStep {
    this.#newest[key] = time;
    let stage = this.#stage[key]!;
    if (stage > 0 && time - this.#since[key]! > span) stage = 0;
    if (stage > 0 && steps[stage - 1]!(input) === true) {
      stage = stage === steps.length ? 0 : stage + 1;
      this.#stage[key] = stage;
      return stage === 0 ? "fires" : "pending";
    }
    if (stage <= 1 && first === true) {
      stage = 1;
      this.#since[key] = time;
    }
    this.#stage[key] = stage;
    return stage === 0 ? "broken" : "pending";
  }

  #keep(key: number, input: StateInput): void {
    this.#forget(key);
    const { clientId, receivedAt } = input;
    this.#waiting[key] = { clientId, receivedAt, payload: input.payload.slice() };
    this.sideBytes += sizeOf(this.#waiting[key]);
  }

  #forget(key: number): void {
    const waiting = this.#waiting[key];
    if (waiting === undefined) return;
    this.sideBytes -= sizeOf(waiting);
    this.#waiting[key] = undefined;
  }

  #reset(key: number): void {
    this.#since[key] = NEVER;
    this.#due[key] = Infinity;
    this.#stage[key] = 0;
    this.#forget(key);
  }
}

function sizeOf({ clientId, payload }: Waiting): number {
  return 160 + clientId.length + payload.length;
}
