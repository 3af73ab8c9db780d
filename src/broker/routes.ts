/**
 * From the bytes of a topic to its subscribers, without decoding the topic: a small table with two places per hash.
 * Bounded by construction, so a publisher with random topics cannot make it grow; it only costs the displaced routes
 * a new walk of the tree.
 */
import type { QoS } from "../base/mod.ts";
import { topicOf } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import { copyOf } from "./frame.ts";
import type { Authorizer } from "./ports.ts";
import type { LocalSubscription, Session, Subscriber, Subscription } from "./session.ts";
import type { SubscriptionTree } from "./subscription-tree.ts";

/** One session's share of a route: its overlapping subscriptions merged (MQTT 5.0 section 3.3.4). */
export class Target {
  readonly session: Session;
  qos: QoS;
  retainAsPublished: boolean;
  identifiers: readonly number[] | null;
  /** The journal's offset when the oldest subscription with QoS 1 was made: what is older was never owed. */
  since: number;
  /** What the session gets of its own messages: less where a subscription said No Local, null for nothing. */
  own: Target | null;
  /** The last answer to "may it receive this topic", and whose it was. */
  authorizer: Authorizer | null = null;
  authorizerRevision = -1;
  mayReceive = false;

  constructor(subscription: Omit<Subscription, "kind" | "filter">) {
    this.session = subscription.session;
    this.qos = subscription.qos;
    this.retainAsPublished = subscription.retainAsPublished;
    this.identifiers = subscription.identifier === 0 ? null : [subscription.identifier];
    this.since = owedSince(subscription);
    this.own = subscription.noLocal ? null : this;
  }

  merge(subscription: Subscription): void {
    const whole = this.own === this;
    if (whole && subscription.noLocal) this.own = this.#copy();
    this.#add(subscription);
    if (whole || subscription.noLocal) return;
    if (this.own === null) this.own = new Target(subscription);
    else this.own.#add(subscription);
  }

  #add(subscription: Subscription): void {
    this.since = Math.min(this.since, owedSince(subscription));
    if (subscription.qos > this.qos) this.qos = subscription.qos; // [MQTT-3.3.4-2]
    this.retainAsPublished ||= subscription.retainAsPublished;
    if (subscription.identifier !== 0) this.identifiers = [...(this.identifiers ?? []), subscription.identifier]; // [MQTT-3.3.4-4]
  }

  #copy(): Target {
    const { session, qos, retainAsPublished, since } = this;
    const copy = new Target({ session, qos, retainAsPublished, since, noLocal: false, identifier: 0 });
    copy.identifiers = this.identifiers;
    return copy;
  }
}

function owedSince(subscription: Pick<Subscription, "qos" | "since">): number {
  return subscription.qos === 0 ? Infinity : subscription.since;
}

export class Route {
  readonly topic: string;
  readonly bytes: Uint8Array;
  readonly hash: number;
  /** The tree's revision that `targets` and `locals` are true for. */
  revision = 0;
  targets: readonly Target[] = [];
  locals: readonly LocalSubscription[] = [];

  constructor(topic: string, bytes: Uint8Array, hash: number) {
    this.topic = topic;
    this.bytes = bytes;
    this.hash = hash;
  }
}

export interface RouteLimits {
  readonly routesCachedMax: number;
  readonly routeTargetsMax: number;
  readonly topicBytesMax: number;
  readonly topicLevelsMax: number;
}

export class RouteCache {
  readonly #tree: SubscriptionTree<Subscriber>;
  readonly #limits: RouteLimits;
  readonly #places: (Route | null)[];
  readonly #mask: number;
  #targets = 0;
  /** Unpredictable, so that nobody can choose topics that collide. */
  readonly #seed: number;

  constructor(tree: SubscriptionTree<Subscriber>, limits: RouteLimits, seed: number) {
    this.#tree = tree;
    this.#limits = limits;
    this.#seed = seed | 0;
    const pairs = 2 ** Math.floor(Math.log2(limits.routesCachedMax / 2));
    this.#mask = pairs - 1;
    this.#places = Array.from({ length: pairs * 2 }, () => null);
  }

  /** Subscribers in all routes. */
  get targets(): number {
    return this.#targets;
  }

  /** The route of the packet's topic. Throws `PacketError` where the topic is not valid. */
  of(view: PublishView): Route {
    const { buffer, topicStart, topicEnd } = view;
    let hash = this.#seed;
    for (let i = topicStart; i < topicEnd; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
    hash ^= hash >>> 15;
    const at = (hash & this.#mask) << 1;
    const first = this.#places[at]!;
    if (first !== null && isOf(first, hash, buffer, topicStart, topicEnd)) return this.#fresh(first);
    const second = this.#places[at + 1]!;
    if (second !== null && isOf(second, hash, buffer, topicStart, topicEnd)) return this.#fresh(second);
    const route = new Route(topicOf(view, this.#limits), copyOf(buffer, topicStart, topicEnd), hash);
    if (second !== null) this.#forgetTargets(second);
    this.#places[at + 1] = first;
    this.#places[at] = route;
    return this.#fresh(route);
  }

  #fresh(route: Route): Route {
    if (route.revision === this.#tree.revision) return route;
    route.revision = this.#tree.revision;
    const found: Subscriber[] = [];
    this.#tree.match(route.topic, found);
    const locals: LocalSubscription[] = [];
    const targets = new Map<Session, Target>();
    for (const subscriber of found) {
      if (subscriber.kind === "local") {
        locals.push(subscriber);
        continue;
      }
      const target = targets.get(subscriber.session);
      if (target === undefined) targets.set(subscriber.session, new Target(subscriber));
      else target.merge(subscriber);
    }
    this.#targets += targets.size - route.targets.length;
    route.targets = [...targets.values()];
    route.locals = locals;
    if (this.#targets > this.#limits.routeTargetsMax) {
      for (const other of this.#places) if (other !== null && other !== route) this.#forgetTargets(other);
    }
    return route;
  }

  /** They are found again when the topic is. Whoever is delivering to them holds the list itself. */
  #forgetTargets(route: Route): void {
    this.#targets -= route.targets.length;
    route.targets = [];
    route.revision = 0;
  }
}

function isOf(route: Route, hash: number, buffer: Uint8Array, start: number, end: number): boolean {
  const { bytes } = route;
  if (route.hash !== hash || bytes.length !== end - start) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buffer[start + i]) return false;
  return true;
}
