/** Retained messages (MQTT 5.0 section 3.3.1.3): one per topic, found by name or by filter. */
import type { EpochMs } from "../base/mod.ts";
import type { FrameView } from "./frame.ts";

export interface Retained {
  readonly topic: string;
  /** The message as an MQTT 5.0 PUBLISH of its own. */
  readonly frame: FrameView;
  readonly offset: number;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  /** Null where the message does not expire. */
  readonly expiresAt: EpochMs | null;
  /** False once another message, or none, took its place. */
  current: boolean;
}

interface Node {
  children: Map<string, Node> | null;
  entry: Retained | null;
}

const DOLLAR = 0x24;

/** What an entry takes beside its frame and its topic. */
const ENTRY_BYTES = 400;

export class RetainedMessages {
  readonly #byTopic = new Map<string, Retained>();
  /** In-flight deliveries of retained messages refer to them by offset. */
  readonly #byOffset = new Map<number, Retained>();
  readonly #root: Node = { children: null, entry: null };
  /** Those that expire. */
  readonly #mortal = new Set<Retained>();
  readonly #limits: { readonly retainedMessagesMax: number; readonly retainedBytesMax: number };
  #bytes = 0;
  /** Topics whose retained message changed since they were last given to the state store. */
  readonly changed = new Set<string>();

  constructor(limits: { readonly retainedMessagesMax: number; readonly retainedBytesMax: number }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byTopic.size;
  }

  get(topic: string): Retained | undefined {
    return this.#byTopic.get(topic);
  }

  atOffset(offset: number): Retained | undefined {
    return this.#byOffset.get(offset);
  }

  /** False where there is no room; what the topic had is gone even so, because it is true no longer. */
  set(entry: Retained): boolean {
    const { retainedMessagesMax, retainedBytesMax } = this.#limits;
    const before = this.#byTopic.get(entry.topic);
    if (before === undefined && this.#byTopic.size >= retainedMessagesMax) return false;
    if (this.#bytes - bytesOf(before) + bytesOf(entry) > retainedBytesMax) {
      this.delete(entry.topic);
      return false;
    }
    this.#forget(before);
    this.#bytes += bytesOf(entry);
    if (entry.expiresAt !== null) this.#mortal.add(entry);
    this.#byTopic.set(entry.topic, entry);
    this.#byOffset.set(entry.offset, entry);
    let node = this.#root;
    for (const level of entry.topic.split("/")) {
      node.children ??= new Map();
      let child = node.children.get(level);
      if (child === undefined) node.children.set(level, (child = { children: null, entry: null }));
      node = child;
    }
    node.entry = entry;
    this.changed.add(entry.topic);
    return true;
  }

  /** Removes the topic's message. */
  delete(topic: string): void {
    const before = this.#byTopic.get(topic);
    if (before === undefined) return;
    this.#forget(before);
    this.#byTopic.delete(topic);
    removeBelow(this.#root, topic.split("/"), 0);
    this.changed.add(topic);
  }

  /** Forgets those whose time is over. */
  sweep(now: EpochMs): void {
    for (const { topic, expiresAt } of this.#mortal) if (expiresAt! <= now) this.delete(topic);
  }

  /** Those that a filter matches, in no particular order. */
  match(filter: string): Retained[] {
    const found: Retained[] = [];
    if (/[+#]/.test(filter)) matchBelow(this.#root, filter.split("/"), 0, found);
    else {
      const entry = this.#byTopic.get(filter);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  #forget(entry: Retained | undefined): void {
    if (entry === undefined) return;
    entry.current = false;
    this.#bytes -= bytesOf(entry);
    this.#mortal.delete(entry);
    this.#byOffset.delete(entry.offset);
  }
}

function bytesOf(entry: Retained | undefined): number {
  return entry === undefined ? 0 : entry.frame.buffer.length + ENTRY_BYTES;
}

function removeBelow(node: Node, levels: readonly string[], depth: number): boolean {
  if (depth === levels.length) node.entry = null;
  else {
    const child = node.children?.get(levels[depth]!);
    if (child !== undefined && removeBelow(child, levels, depth + 1)) {
      node.children!.delete(levels[depth]!);
      if (node.children!.size === 0) node.children = null;
    }
  }
  return node.children === null && node.entry === null;
}

function matchBelow(node: Node, levels: readonly string[], depth: number, found: Retained[]): void {
  if (depth === levels.length) {
    if (node.entry !== null) found.push(node.entry);
    return;
  }
  const level = levels[depth]!;
  if (level === "#") collect(node, depth === 0, found);
  else if (level === "+") {
    for (const [name, child] of node.children ?? []) {
      if (depth === 0 && name.charCodeAt(0) === DOLLAR) continue; // [MQTT-4.7.2-1]
      matchBelow(child, levels, depth + 1, found);
    }
  } else {
    const child = node.children?.get(level);
    if (child !== undefined) matchBelow(child, levels, depth + 1, found);
  }
}

/** All at and below the node: `a/#` also matches `a`. */
function collect(node: Node, atRoot: boolean, found: Retained[]): void {
  if (node.entry !== null) found.push(node.entry);
  for (const [name, child] of node.children ?? []) {
    if (atRoot && name.charCodeAt(0) === DOLLAR) continue; // [MQTT-4.7.2-1]
    collect(child, false, found);
  }
}
