/** Topic filters in a tree by level (MQTT 5.0 section 4.7), so that a topic finds its subscribers in one walk. */

interface Node<T> {
  children: Map<string, Node<T>> | null;
  /** The `+` child. */
  single: Node<T> | null;
  /** Subscribers of `…/#` below this node, and of the filter that ends exactly here. */
  rest: Set<T> | null;
  here: Set<T> | null;
}

const DOLLAR = 0x24;

export class SubscriptionTree<T> {
  readonly #root: Node<T> = emptyNode();
  /** Grows with every change; whoever caches a match compares it. */
  revision = 1;

  add(filter: string, subscriber: T): void {
    this.revision++;
    let node = this.#root;
    for (const level of filter.split("/")) {
      if (level === "#") {
        (node.rest ??= new Set()).add(subscriber);
        return;
      }
      node = childFor(node, level);
    }
    (node.here ??= new Set()).add(subscriber);
  }

  remove(filter: string, subscriber: T): void {
    this.revision++;
    removeBelow(this.#root, filter.split("/"), 0, subscriber);
  }

  /**
   * Appends every subscriber of `topic` to `found`; one that has several matching filters is there several times.
   * Each node is visited at most once, whatever the filters are.
   */
  match(topic: string, found: T[]): void {
    const levels = topic.split("/");
    matchBelow(this.#root, levels, 0, topic.charCodeAt(0) === DOLLAR, found);
  }
}

function emptyNode<T>(): Node<T> {
  return { children: null, single: null, rest: null, here: null };
}

function childFor<T>(node: Node<T>, level: string): Node<T> {
  if (level === "+") return (node.single ??= emptyNode());
  node.children ??= new Map();
  let child = node.children.get(level);
  if (child === undefined) node.children.set(level, (child = emptyNode()));
  return child;
}

/** Whether the node is empty afterwards, so that its parent may forget it. */
function removeBelow<T>(node: Node<T>, levels: readonly string[], depth: number, subscriber: T): boolean {
  if (depth === levels.length) {
    if (node.here?.delete(subscriber) === true && node.here.size === 0) node.here = null;
    return isEmpty(node);
  }
  const level = levels[depth]!;
  if (level === "#") {
    if (node.rest?.delete(subscriber) === true && node.rest.size === 0) node.rest = null;
    return isEmpty(node);
  }
  const child = level === "+" ? node.single : node.children?.get(level);
  if (child === undefined || child === null || !removeBelow(child, levels, depth + 1, subscriber)) return isEmpty(node);
  if (level === "+") node.single = null;
  else if (node.children!.delete(level) && node.children!.size === 0) node.children = null;
  return isEmpty(node);
}

function isEmpty<T>(node: Node<T>): boolean {
  return node.children === null && node.single === null && node.rest === null && node.here === null;
}

function matchBelow<T>(node: Node<T>, levels: readonly string[], depth: number, reserved: boolean, found: T[]): void {
  // A leading wildcard never matches a topic that starts with `$` [MQTT-4.7.2-1].
  const wildcards = !(reserved && depth === 0);
  if (wildcards && node.rest !== null) for (const subscriber of node.rest) found.push(subscriber); // "a/#" also matches "a" (section 4.7.1.2)
  if (depth === levels.length) {
    if (node.here !== null) for (const subscriber of node.here) found.push(subscriber);
    return;
  }
  const child = node.children?.get(levels[depth]!);
  if (child !== undefined) matchBelow(child, levels, depth + 1, reserved, found);
  if (wildcards && node.single !== null) matchBelow(node.single, levels, depth + 1, reserved, found);
}
