/**
 * Topic filters and who subscribed with them (MQTT 5.0 section 4.7), as they were written [MQTT-4.7.3-4]. Filters without wildcards, most of a fleet's, are
 * found by their text; the others stand in a tree by level, so that a topic finds all that match it in one walk.
 *
 * Work of a match: a node leads to at most two others, the level's own name and `+`, and no node is reached twice. A topic
 * of n levels therefore visits fewer than 2^(n+1) nodes, and never more than there are: one per level of each filter with
 * wildcards. `match` says how many it were, so that whoever causes many can be slowed down.
 */

/** Nearly all nodes have one subscriber or one child, few have more than a handful, and some have thousands. */
type Subscribers<T> = null | T | T[] | Set<T>;
type Children<T> = null | Node<T> | Node<T>[] | Map<string, Node<T>>;

interface Node<T> {
  readonly level: string;
  children: Children<T>;
  /** The `+` child. */
  single: Node<T> | null;
  /** Subscribers of `…/#` below this node, and of the filter that ends exactly here. */
  rest: Subscribers<T>;
  here: Subscribers<T>;
}

const DOLLAR = 0x24;
/** Up to here a list is looked through, beyond it is a table. */
const FEW = 8;
/** Tables of exact filters: many small ones, because a table that grows is copied at once, and everybody waits for that. */
const SHARDS = 1024;

export class SubscriptionTree<T extends number | { readonly kind: string }> {
  readonly #exact: (Map<string, Subscribers<T>> | undefined)[] = Array.from({ length: SHARDS }, () => undefined);
  readonly #root: Node<T> = emptyNode("");
  /** Nodes at the present and the next level of the walk that is under way. */
  #front: Node<T>[] = [];
  #next: Node<T>[] = [];

  add(filter: string, subscriber: T): void {
    if (!hasWildcard(filter)) {
      const at = shardOf(filter);
      const shard = (this.#exact[at] ??= new Map());
      shard.set(filter, withOne(shard.get(filter) ?? null, subscriber));
      return;
    }
    let node = this.#root;
    for (const level of filter.split("/")) {
      if (level === "#") {
        node.rest = withOne(node.rest, subscriber);
        return;
      }
      node = childFor(node, level);
    }
    node.here = withOne(node.here, subscriber);
  }

  remove(filter: string, subscriber: T): void {
    if (hasWildcard(filter)) this.#removeBelowRoot(filter, subscriber);
    else {
      const at = shardOf(filter);
      const shard = this.#exact[at];
      const left = withoutOne(shard?.get(filter) ?? null, subscriber);
      if (left !== null) shard!.set(filter, left);
      else if (shard?.delete(filter) === true && shard.size === 0) this.#exact[at] = undefined;
    }
  }

  /**
   * Appends every subscriber of `topic` to `found`; one that has several matching filters is there several times. Returns
   * how many nodes it visited.
   */
  match(topic: string, found: T[]): number {
    collect(this.#exact[shardOf(topic)]?.get(topic) ?? null, found);
    const reserved = topic.charCodeAt(0) === DOLLAR;
    let front = this.#front;
    let next = this.#next;
    front.push(this.#root);
    let visited = 0;
    for (let from = 0; front.length > 0;) {
      const slash = topic.indexOf("/", from);
      const end = slash < 0 ? topic.length : slash;
      const over = from > topic.length;
      const level = over ? "" : topic.slice(from, end);
      // A leading wildcard never matches a topic that starts with `$` [MQTT-4.7.2-1].
      const wildcards = !(reserved && from === 0);
      visited += front.length;
      for (let i = 0; i < front.length; i++) {
        const node = front[i]!;
        if (wildcards && node.rest !== null) collect(node.rest, found); // "a/#" also matches "a" (section 4.7.1.2)
        if (over) {
          if (node.here !== null) collect(node.here, found);
          continue;
        }
        const child = childOf(node, level);
        if (child !== undefined) next.push(child);
        if (wildcards && node.single !== null) next.push(node.single);
      }
      front.length = 0;
      if (over) break;
      [front, next] = [next, front];
      from = end + 1;
    }
    this.#front = front;
    this.#next = next;
    return visited;
  }

  #removeBelowRoot(filter: string, subscriber: T): void {
    const path: Node<T>[] = [this.#root];
    let node = this.#root;
    for (const level of filter.split("/")) {
      if (level === "#") break;
      const child = level === "+" ? node.single : childOf(node, level);
      if (child === undefined || child === null) return;
      path.push(child);
      node = child;
    }
    if (filter.endsWith("#")) node.rest = withoutOne(node.rest, subscriber);
    else node.here = withoutOne(node.here, subscriber);
    for (let depth = path.length - 1; depth > 0 && isEmpty(path[depth]!); depth--) {
      removeChild(path[depth - 1]!, path[depth]!);
    }
  }
}

/** In a valid filter these characters are nothing else. */
export function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.endsWith("#");
}

function shardOf(filter: string): number {
  let hash = filter.length;
  for (let i = 0; i < filter.length; i++) hash = Math.imul(hash ^ filter.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}

function emptyNode<T>(level: string): Node<T> {
  return { level, children: null, single: null, rest: null, here: null };
}

function isEmpty<T>(node: Node<T>): boolean {
  return node.children === null && node.single === null && node.rest === null && node.here === null;
}

// ── children ───────────────────────────────────────────────────────────────────────────────────

function childOf<T>({ children }: Node<T>, level: string): Node<T> | undefined {
  if (children === null) return undefined;
  if (children instanceof Map) return children.get(level);
  if (!Array.isArray(children)) return children.level === level ? children : undefined;
  for (let i = 0; i < children.length; i++) if (children[i]!.level === level) return children[i];
  return undefined;
}

function childFor<T>(node: Node<T>, level: string): Node<T> {
  if (level === "+") return (node.single ??= emptyNode(level));
  const known = childOf(node, level);
  if (known !== undefined) return known;
  const child = emptyNode<T>(level);
  const { children } = node;
  if (children === null) node.children = child;
  else if (children instanceof Map) children.set(level, child);
  else if (!Array.isArray(children)) node.children = [children, child];
  else if (children.length < FEW) children.push(child);
  else node.children = new Map([...children, child].map((each) => [each.level, each]));
  return child;
}

function removeChild<T>(node: Node<T>, child: Node<T>): void {
  if (child.level === "+") {
    node.single = null;
    return;
  }
  const { children } = node;
  if (children instanceof Map) {
    children.delete(child.level);
    if (children.size <= FEW / 2) node.children = [...children.values()];
  } else if (Array.isArray(children)) {
    const left = children.filter((each) => each !== child);
    node.children = left.length === 1 ? left[0]! : left;
  } else node.children = null;
}

// ── subscribers ────────────────────────────────────────────────────────────────────────────────

function withOne<T>(all: Subscribers<T>, one: T): Subscribers<T> {
  if (all === null || all === one) return one;
  if (all instanceof Set) return all.add(one);
  if (!Array.isArray(all)) return [all, one];
  if (all.includes(one)) return all;
  if (all.length >= FEW) return new Set([...all, one]);
  all.push(one);
  return all;
}

function withoutOne<T>(all: Subscribers<T>, one: T): Subscribers<T> {
  if (all instanceof Set) {
    all.delete(one);
    return all.size <= FEW / 2 ? [...all] : all;
  }
  if (!Array.isArray(all)) return all === one ? null : all;
  const left = all.filter((each) => each !== one);
  return left.length === 1 ? left[0]! : left;
}

function collect<T>(all: Subscribers<T>, found: T[]): void {
  if (all === null) return;
  if (all instanceof Set) for (const each of all) found.push(each);
  else if (!Array.isArray(all)) found.push(all);
  else for (let i = 0; i < all.length; i++) found.push(all[i]!);
}
