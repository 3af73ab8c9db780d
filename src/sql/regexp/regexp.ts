/**
 * Regular expressions in linear time: steps are at most text times pattern, whatever the pattern (a Pike machine, as in
 * RE2). `(a+)+$` costs what `a+$` costs. Matches are those of Java and Perl: the leftmost, and of those the preferred.
 */
import { LIMITS } from "../../base/mod.ts";
import { LINE_ENDS, WORDS } from "./char-set.ts";
import { compilePattern } from "./program.ts";
import type { Program } from "./program.ts";
import type { Assertion } from "./syntax.ts";

/** Begin and end of each group, the whole first; -1 where a group took no part. */
export type Match = Int32Array;

/** What all searches of one call may do together. */
export interface Steps {
  left: number;
}

/** What it costs to begin, so that a million empty matches are paid for. */
const SEARCH_STEPS = 20;

export function newSteps(): Steps {
  return { left: LIMITS.rules.sqlRegexpStepsMax };
}

/** The program's places that are alive at one position, by priority, each with its captures. */
class Threads {
  readonly places: Int32Array;
  readonly captures: Int32Array;
  readonly #marks: Int32Array;
  #mark = 0;
  count = 0;

  constructor(size: number, slots: number) {
    this.places = new Int32Array(size);
    this.captures = new Int32Array(size * slots);
    this.#marks = new Int32Array(size);
  }

  clear(): void {
    this.count = 0;
    this.#mark++;
  }

  /** False where the place is alive already: whoever came first has priority. */
  enter(place: number): boolean {
    if (this.#marks[place] === this.#mark) return false;
    this.#marks[place] = this.#mark;
    return true;
  }
}

export class LinearRegExp {
  readonly #program: Program;
  readonly #lists: [Threads, Threads];
  readonly #stack: number[] = [];
  readonly #captures: Int32Array;

  /** `capturing`: whether the groups are of interest; without, it is faster. Throws `PatternError`. */
  constructor(pattern: string, capturing: boolean) {
    this.#program = compilePattern(pattern, capturing);
    const { code, slots } = this.#program;
    this.#lists = [new Threads(code.length, slots), new Threads(code.length, slots)];
    this.#captures = new Int32Array(slots);
  }

  get groups(): number {
    return this.#program.groups;
  }

  groupNamed(name: string): number | null {
    return this.#program.names.get(name) ?? null;
  }

  /** The first match at or after `from`; null where there is none, undefined where the steps are used up. */
  exec(text: string, from: number, steps: Steps): Match | null | undefined {
    const { prefix, anchored, slots } = this.#program;
    let [now, next] = this.#lists;
    let found: Int32Array | null = null;
    steps.left -= SEARCH_STEPS;
    now.clear();
    for (let at = from; ;) {
      if (found === null && now.count === 0) {
        if (anchored && at > 0) return null;
        const start = prefix === "" ? at : text.indexOf(prefix, at);
        if (start < 0) return null;
        at = start;
      }
      if (found === null && !(anchored && at > 0)) {
        this.#captures.fill(-1);
        this.#follow(now, 0, text, at);
      }
      steps.left -= now.count + 1;
      if (steps.left < 0) return undefined;
      const code = at < text.length ? text.codePointAt(at)! : -1;
      const after = at + (code > 0xffff ? 2 : 1);
      next.clear();
      for (let t = 0; t < now.count; t++) {
        const place = now.places[t]!;
        const instruction = this.#program.code[place]!;
        if (instruction.op === "match") {
          found = now.captures.slice(t * slots, (t + 1) * slots);
          break; // the others have less priority
        }
        if (instruction.op === "set" && code >= 0 && instruction.set.has(code)) {
          this.#captures.set(now.captures.subarray(t * slots, (t + 1) * slots));
          this.#follow(next, place + 1, text, after);
        }
      }
      if (code < 0 || (found !== null && next.count === 0)) return found;
      [now, next] = [next, now];
      at = after;
    }
  }

  /** Adds what is reached from `start` without reading a character. A stack of its own: patterns nest deeply. */
  #follow(threads: Threads, start: number, text: string, at: number): void {
    const stack = this.#stack;
    stack.push(start);
    while (stack.length > 0) {
      const place = stack.pop()!;
      if (place < 0) {
        this.#captures[-place - 1] = stack.pop()!; // undo a save for what was waiting behind it
        continue;
      }
      if (!threads.enter(place)) continue;
      const instruction = this.#program.code[place]!;
      switch (instruction.op) {
        case "jump":
          stack.push(instruction.to);
          break;
        case "split":
          stack.push(instruction.second, instruction.first);
          break;
        case "save":
          stack.push(this.#captures[instruction.slot]!, -instruction.slot - 1, place + 1);
          this.#captures[instruction.slot] = at;
          break;
        case "assert":
          if (holds(instruction.which, text, at)) stack.push(place + 1);
          break;
        case "set":
        case "match":
          threads.captures.set(this.#captures, threads.count * this.#program.slots);
          threads.places[threads.count++] = place;
      }
    }
  }
}

function holds(which: Assertion, text: string, at: number): boolean {
  switch (which) {
    case "text-start":
      return at === 0;
    case "text-end":
      return at === text.length;
    case "last-line-end":
      return at === text.length || (endsLine(text, at) && at + lineEndLength(text, at) === text.length);
    case "line-start":
      return at === 0 || (at < text.length && LINE_ENDS.has(text.charCodeAt(at - 1)) && !splitsLineEnd(text, at));
    case "line-end":
      return at === text.length || endsLine(text, at);
    case "word":
      return isWord(text, at - 1) !== isWord(text, at);
    case "no-word":
      return isWord(text, at - 1) === isWord(text, at);
  }
}

function endsLine(text: string, at: number): boolean {
  return at < text.length && LINE_ENDS.has(text.charCodeAt(at)) && !splitsLineEnd(text, at);
}

function lineEndLength(text: string, at: number): number {
  return text.startsWith("\r\n", at) ? 2 : 1;
}

/** Between \r and \n, which are one line end. */
function splitsLineEnd(text: string, at: number): boolean {
  return at > 0 && text.startsWith("\r\n", at - 1);
}

function isWord(text: string, at: number): boolean {
  return at >= 0 && at < text.length && WORDS.has(text.charCodeAt(at));
}
