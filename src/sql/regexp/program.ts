/** Pattern tree → instructions of a Pike machine (Thompson's construction, with priorities and captures). */
import { LIMITS } from "../../base/mod.ts";
import type { CharSet } from "./char-set.ts";
import { PatternError, parsePattern } from "./syntax.ts";
import type { Assertion, PatternNode } from "./syntax.ts";

export type Instruction =
  | { readonly op: "set"; readonly set: CharSet }
  /** Goes on at both, the first with priority. */
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "save"; readonly slot: number }
  | { readonly op: "assert"; readonly which: Assertion }
  | { readonly op: "match" };

export interface Program {
  readonly code: readonly Instruction[];
  /** Two per group, the whole match first: where it begins and where it ends. */
  readonly slots: number;
  readonly groups: number;
  readonly names: ReadonlyMap<string, number>;
  /** Every match begins with this text. */
  readonly prefix: string;
  /** No match begins later than the text. */
  readonly anchored: boolean;
}

/** Without captures, groups only group. Throws `PatternError`. */
export function compilePattern(text: string, capturing: boolean): Program {
  const parsed = parsePattern(text);
  const root = parsed.root;
  const { groups, names } = capturing ? parsed : { groups: 0, names: new Map<string, number>() };
  const code: Instruction[] = [];
  emit(code, { kind: "group", of: root, index: 0 }, groups);
  push(code, { op: "match" });
  const [first] = root.kind === "all" ? root.parts : [root];
  const anchored = first!.kind === "assertion" && first!.which === "text-start";
  return { code, slots: 2 * (groups + 1), groups, names, prefix: prefixOf(root), anchored };
}

function push(code: Instruction[], instruction: Instruction): number {
  if (code.length >= LIMITS.rules.sqlRegexpInstructionsMax) {
    throw new PatternError(0, "its repetitions make it too large");
  }
  return code.push(instruction) - 1;
}

/** Groups above `groups` are not captured. */
function emit(code: Instruction[], node: PatternNode, groups: number): void {
  switch (node.kind) {
    case "empty":
      return;
    case "set":
      push(code, { op: "set", set: node.set });
      return;
    case "assertion":
      push(code, { op: "assert", which: node.which });
      return;
    case "group":
      if (node.index > groups) return emit(code, node.of, groups);
      push(code, { op: "save", slot: 2 * node.index });
      emit(code, node.of, groups);
      push(code, { op: "save", slot: 2 * node.index + 1 });
      return;
    case "all":
      for (const part of node.parts) emit(code, part, groups);
      return;
    case "any":
      emitChoices(code, node.choices, groups);
      return;
    case "repeat":
      emitRepeat(code, node, groups);
  }
}

function emitChoices(code: Instruction[], choices: readonly PatternNode[], groups: number): void {
  const ends: number[] = [];
  choices.forEach((choice, i) => {
    if (i === choices.length - 1) return emit(code, choice, groups);
    const split = push(code, { op: "split", first: code.length + 1, second: 0 });
    emit(code, choice, groups);
    ends.push(push(code, { op: "jump", to: 0 }));
    (code[split] as { second: number }).second = code.length;
  });
  for (const end of ends) (code[end] as { to: number }).to = code.length;
}

type Repeat = Extract<PatternNode, { kind: "repeat" }>;

function emitRepeat(code: Instruction[], { of, min, max, lazy }: Repeat, groups: number): void {
  // x+ loops back to its only copy, unless an empty x would then keep the loop from its next choice.
  const loopBack = max === Infinity && min > 0 && !isNullable(of);
  for (let i = 0; i < min; i++) {
    const start = code.length;
    emit(code, of, groups);
    if (loopBack && i === min - 1) split(code, start, code.length + 1, lazy);
  }
  if (loopBack) return;
  if (max === Infinity) {
    const loop = split(code, code.length + 1, 0, lazy);
    emit(code, of, groups);
    push(code, { op: "jump", to: loop });
    aim(code, loop, code.length, lazy);
    return;
  }
  const exits: number[] = [];
  for (let i = min; i < max; i++) {
    exits.push(split(code, code.length + 1, 0, lazy));
    emit(code, of, groups);
  }
  for (const exit of exits) aim(code, exit, code.length, lazy);
}

/** Once more, or on: the greedy one prefers once more. */
function split(code: Instruction[], again: number, on: number, lazy: boolean): number {
  return push(code, lazy ? { op: "split", first: on, second: again } : { op: "split", first: again, second: on });
}

function aim(code: Instruction[], at: number, on: number, lazy: boolean): void {
  const instruction = code[at] as { first: number; second: number };
  if (lazy) instruction.first = on;
  else instruction.second = on;
}

/** Whether it can match the empty text. */
function isNullable(node: PatternNode): boolean {
  switch (node.kind) {
    case "empty":
    case "assertion":
      return true;
    case "set":
      return false;
    case "group":
      return isNullable(node.of);
    case "all":
      return node.parts.every(isNullable);
    case "any":
      return node.choices.some(isNullable);
    case "repeat":
      return node.min === 0 || isNullable(node.of);
  }
}

function prefixOf(root: PatternNode): string {
  let prefix = "";
  for (const part of root.kind === "all" ? root.parts : [root]) {
    const code = part.kind === "set" ? part.set.single : null;
    // A lone surrogate must not be found in the middle of a pair.
    if (code === null || (code >= 0xd800 && code <= 0xdfff)) break;
    prefix += String.fromCodePoint(code);
  }
  return prefix;
}
