/** Which rules want a message of this topic? One Map look-up for a topic seen before, else a walk along its levels. */
import { ingestOf, topicMatches } from "../base/mod.ts";

/** Topics remembered in each of the two generations. Devices repeat their topics; one that does not must not fill the memory. */
const TOPICS_CACHED_MAX = 10_000;

interface Entry<R> {
  readonly filter: string;
  rule: R;
  /** Rules are told in the order in which they came. */
  readonly order: number;
}

/** The rules below one prefix of levels. */
interface Level<R> {
  readonly named: Map<string, Level<R>>;
  /** Below `+`. */
  any: Level<R> | null;
  /** Filters that end here, and those that end here with `#`. */
  readonly here: Entry<R>[];
  readonly below: Entry<R>[];
}

export class TopicRoutes<R> {
  /** By name, to replace and to take out. Bounded by the rules. */
  readonly #entries = new Map<string, Entry<R>>();
  /** Filters without wildcards, which are most. */
  readonly #exact = new Map<string, Entry<R>[]>();
  #wild: Level<R> = newLevel();
  #next = 0;
  /** Two generations: topics in use move to the young one, the old one is dropped whole. */
  #young = new Map<string, readonly R[]>();
  #old = new Map<string, readonly R[]>();

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): R | undefined {
    return this.#entries.get(name)?.rule;
  }

  /** Adds a rule, or replaces the one of that name, which keeps its place. */
  put(name: string, filter: string, rule: R): void {
    const present = this.#entries.get(name);
    if (present?.filter === filter) {
      present.rule = rule;
      this.#forget(filter);
      return;
    }
    if (present !== undefined) this.#remove(present);
    const entry: Entry<R> = { filter, rule, order: present?.order ?? this.#next++ };
    this.#entries.set(name, entry);
    this.#listOf(filter).push(entry);
    this.#forget(filter);
  }

  delete(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#remove(entry);
  }

  clear(): void {
    this.#entries.clear();
    this.#exact.clear();
    this.#wild = newLevel();
    this.#young.clear();
    this.#old.clear();
  }

  route(topic: string): readonly R[] {
    return this.#young.get(topic) ?? this.#routeAnew(topic);
  }

  filters(): string[] {
    return [...new Set([...this.#entries.values()].map(({ filter }) => filter))];
  }

  #routeAnew(topic: string): readonly R[] {
    const ingest = ingestOf(topic);
    if (ingest !== null) return this.#named(ingest.ruleName);
    const route = this.#old.get(topic) ?? this.#find(topic);
    if (this.#young.size >= TOPICS_CACHED_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(topic, route);
    return route;
  }

  /** Basic Ingest names its rule, whatever the rule's filter; nobody else sees it. */
  #named(name: string): readonly R[] {
    const entry = this.#entries.get(name);
    return entry === undefined ? NO_RULES : [entry.rule];
  }

  #find(topic: string): readonly R[] {
    const found = [...(this.#exact.get(topic) ?? [])];
    const levels = topic.split("/");
    if (topic.startsWith("$")) {
      // Wildcards at the beginning do not see these topics [MQTT-4.7.2-1].
      const first = this.#wild.named.get(levels[0]!);
      if (first !== undefined) collect(first, levels, 1, found);
    } else collect(this.#wild, levels, 0, found);
    if (found.length === 0) return NO_RULES;
    return found.sort((a, b) => a.order - b.order).map(({ rule }) => rule);
  }

  /** Only topics that the filter matches are looked up anew. */
  #forget(filter: string): void {
    for (const cache of [this.#young, this.#old]) {
      if (!isWild(filter)) cache.delete(filter);
      else for (const topic of cache.keys()) if (topicMatches(filter, topic)) cache.delete(topic);
    }
  }

  #remove(entry: Entry<R>): void {
    this.#forget(entry.filter);
    if (!isWild(entry.filter)) {
      const left = this.#exact.get(entry.filter)!.filter((other) => other !== entry);
      if (left.length === 0) this.#exact.delete(entry.filter);
      else this.#exact.set(entry.filter, left);
      return;
    }
    prune(this.#wild, entry.filter.split("/"), 0, entry);
  }

  #listOf(filter: string): Entry<R>[] {
    if (!isWild(filter)) {
      const present = this.#exact.get(filter);
      if (present !== undefined) return present;
      const made: Entry<R>[] = [];
      this.#exact.set(filter, made);
      return made;
    }
    let level = this.#wild;
    for (const name of filter.split("/")) {
      if (name === "#") return level.below;
      if (name === "+") level = level.any ??= newLevel();
      else {
        let next = level.named.get(name);
        if (next === undefined) level.named.set(name, (next = newLevel()));
        level = next;
      }
    }
    return level.here;
  }
}

const NO_RULES: readonly never[] = [];

function newLevel<R>(): Level<R> {
  return { named: new Map(), any: null, here: [], below: [] };
}

function isWild(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}

/** `a/#` matches `a` as well (MQTT 5.0 section 4.7.1.2). */
function collect<R>(level: Level<R>, levels: readonly string[], at: number, found: Entry<R>[]): void {
  for (const entry of level.below) found.push(entry);
  if (at === levels.length) {
    for (const entry of level.here) found.push(entry);
    return;
  }
  const named = level.named.get(levels[at]!);
  if (named !== undefined) collect(named, levels, at + 1, found);
  if (level.any !== null) collect(level.any, levels, at + 1, found);
}

/** Takes an entry out; true where the level is empty afterwards. */
function prune<R>(level: Level<R>, names: readonly string[], at: number, entry: Entry<R>): boolean {
  const name = names[at];
  if (name === undefined || name === "#") {
    const list = name === "#" ? level.below : level.here;
    list.splice(list.indexOf(entry), 1);
  } else if (name === "+") {
    if (prune(level.any!, names, at + 1, entry)) level.any = null;
  } else if (prune(level.named.get(name)!, names, at + 1, entry)) level.named.delete(name);
  return level.named.size === 0 && level.any === null && level.here.length === 0 && level.below.length === 0;
}
