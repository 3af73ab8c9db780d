/**
 * From the bytes of a topic to its subscribers, without decoding the topic: a small table with two places per hash.
 * Bounded by construction, so a publisher with random topics cannot make it grow; it only costs the displaced routes
 * a new walk of the tree.
 *
 * A change of subscriptions makes few routes stale. A filter without wildcards concerns one topic, and its route is told.
 * One with wildcards concerns topics that begin as it does: changes are counted per hash of a filter's first levels, and a
 * route whose own beginnings show no new change is still true. So clients that come and go with `fleet/1/device/7/cmd/#`
 * cost nobody who publishes elsewhere more than a few additions.
 */
import { areWords, encodeUtf8, hashWords, wordsOf } from "../base/mod.ts";
import type { QoS } from "../base/mod.ts";
import { topicOf } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Examiner } from "./examining.ts";
import { copyOf } from "./frame.ts";
import type { Authorizer } from "./ports.ts";
import { isIngest } from "./reserved-topics.ts";
import type { ServiceSubscription } from "./services.ts";
import type { LocalSubscription, Session, Subscription } from "./session.ts";
import type { SharedGroup } from "./shared-group.ts";
import { hasWildcard } from "./subscription-tree.ts";
import type { SubscriptionTree } from "./subscription-tree.ts";

/** What stands in the tree: a client's own subscription, a group that shares one, a service inside the platform. */
export type Subscriber = Subscription | SharedGroup | LocalSubscription | ServiceSubscription | Examiner;

/** One session's share of a route: its overlapping subscriptions merged (MQTT 5.0 section 3.3.4). */
export class Target {
  readonly session: Session;
  qos: QoS;
  retainAsPublished: boolean;
  identifiers: number[] | null;
  /** Of a shared subscription; 0 for the client's own. See `SharedGroup.mark`. */
  readonly mark: number;
  /** The journal's offset when the oldest subscription with QoS 1 was made: what is older was never owed. */
  since: number;
  /** What the session gets of its own messages: less where a subscription said No Local, null for nothing. */
  own: Target | null;
  /** The last answer to "may it receive this topic", and whose it was. */
  authorizer: Authorizer | null = null;
  authorizerRevision = -1;
  mayReceive = false;

  constructor(subscription: Omit<Subscription, "kind" | "filter">, mark = 0) {
    this.session = subscription.session;
    this.qos = subscription.qos;
    this.retainAsPublished = subscription.retainAsPublished;
    this.identifiers = subscription.identifier === 0 ? null : [subscription.identifier];
    this.mark = mark;
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
    if (subscription.identifier !== 0) (this.identifiers ??= []).push(subscription.identifier); // [MQTT-3.3.4-4]
  }

  #copy(): Target {
    const { session, qos, retainAsPublished, since } = this;
    const copy = new Target({ session, qos, retainAsPublished, since, noLocal: false, identifier: 0 });
    copy.identifiers = this.identifiers?.slice() ?? null;
    return copy;
  }
}

function owedSince(subscription: Pick<Subscription, "qos" | "since">): number {
  return subscription.qos === 0 ? Infinity : subscription.since;
}

/** Of most topics nobody shares a subscription. */
const NO_GROUPS: readonly SharedGroup[] = [];
const NO_SERVICES: readonly ServiceSubscription[] = [];
const NO_EXAMINERS: readonly Examiner[] = [];

export class Route {
  readonly topic: string;
  /** Its UTF-8, so many bytes. */
  readonly words: DataView;
  readonly length: number;
  readonly hash: number;
  /** Places of the topic's beginnings among the counters of changes. */
  readonly beginnings: readonly number[];
  /** The cache's revision that the rest is true for; 0 for none. */
  revision = 0;
  /** Sum of those counters at that time. */
  changes = 0;
  targets: readonly Target[] = [];
  groups: readonly SharedGroup[] = NO_GROUPS;
  /** Somebody other than a service is to have its messages. */
  isWanted = false;
  /** A service is. */
  isServed = false;
  locals: readonly LocalSubscription[] = [];
  services: readonly ServiceSubscription[] = NO_SERVICES;
  /** Somebody looks at its messages before they are taken. */
  isExamined = false;
  examiners: readonly Examiner[] = NO_EXAMINERS;

  constructor(topic: string, bytes: Uint8Array, hash: number, beginnings: readonly number[]) {
    this.topic = topic;
    this.words = wordsOf(bytes);
    this.length = bytes.length;
    this.hash = hash;
    this.beginnings = beginnings;
  }
}

export interface RouteLimits {
  readonly routesCachedMax: number;
  readonly routeTargetsMax: number;
  readonly topicBytesMax: number;
  readonly topicLevelsMax: number;
}

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
/** Levels at a filter's beginning that tell changes apart: `fleet/region/site/device`. */
const BEGINNING_LEVELS = 4;
/** Counters of changes, 4 bytes each; two beginnings in one only cost walks that were not needed. */
const COUNTERS = 65_536;

export class RouteCache {
  readonly #tree: SubscriptionTree<Subscriber>;
  readonly #limits: RouteLimits;
  readonly #places: (Route | null)[];
  readonly #mask: number;
  /** Of the topic asked for last, which often comes again at once. */
  #latest: Route | null = null;
  #targets = 0;
  /** Unpredictable, so that nobody can choose topics that collide. */
  readonly #seed: number;
  /** Grows with every change of a filter with wildcards. */
  #revision = 1;
  /** The first counts changes of filters that begin with a wildcard, and concern every topic. */
  readonly #changes = new Uint32Array(COUNTERS + 1);
  /** Nodes of the tree that topics led through; whoever charges somebody for them sets it back. */
  nodesVisited = 0;

  constructor(tree: SubscriptionTree<Subscriber>, limits: RouteLimits, seed: number) {
    this.#tree = tree;
    this.#limits = limits;
    this.#seed = seed | 0;
    const pairs = 2 ** Math.floor(Math.log2(limits.routesCachedMax / 2));
    this.#mask = pairs - 1;
    this.#places = Array.from({ length: pairs * 2 }, () => null);
  }

  /** Subscribers and groups in all routes. */
  get targets(): number {
    return this.#targets;
  }

  /** The route of the packet's topic. Throws `PacketError` where the topic is not valid. */
  of(view: PublishView): Route {
    const { words, topicStart, topicEnd } = view;
    const length = topicEnd - topicStart;
    const latest = this.#latest;
    if (latest !== null && latest.length === length && areWords(latest.words, length, words, topicStart))
      return this.#fresh(latest);
    const hash = hashWords(words, topicStart, topicEnd, this.#seed);
    const at = (hash & this.#mask) << 1;
    const first = this.#places[at]!;
    if (first !== null && isOf(first, hash, words, topicStart, length)) return this.#fresh((this.#latest = first));
    const second = this.#places[at + 1]!;
    if (second !== null && isOf(second, hash, words, topicStart, length)) return this.#fresh((this.#latest = second));
    const own = copyOf(view.buffer, topicStart, topicEnd);
    const route = new Route(topicOf(view, this.#limits), own, hash, this.#beginningsOf(own));
    if (second !== null) this.#forgetTargets(second);
    this.#places[at + 1] = first;
    this.#places[at] = route;
    return this.#fresh((this.#latest = route));
  }

  /** A subscriber of the filter came or went. */
  changed(filter: string): void {
    const bytes = encodeUtf8(filter);
    if (hasWildcard(filter)) {
      this.#revision++;
      this.#changes[this.#beginningOf(bytes)]!++;
      return;
    }
    const hash = hashWords(wordsOf(bytes), 0, bytes.length, this.#seed);
    const at = (hash & this.#mask) << 1;
    for (const route of [this.#places[at]!, this.#places[at + 1]!]) if (route?.topic === filter) route.revision = 0;
  }

  #counterOf(words: DataView, end: number): number {
    return 1 + (hashWords(words, 0, end, this.#seed) & (COUNTERS - 1));
  }

  #beginningsOf(topic: Uint8Array): number[] {
    const beginnings: number[] = [];
    const words = wordsOf(topic);
    for (let end = 0; end <= topic.length && beginnings.length < BEGINNING_LEVELS; end++) {
      if (end === topic.length || topic[end] === SLASH) beginnings.push(this.#counterOf(words, end));
    }
    return beginnings;
  }

  /** The counter of the levels ahead of the filter's first wildcard. */
  #beginningOf(bytes: Uint8Array): number {
    let end = 0;
    let levels = 0;
    for (let i = 0; i < bytes.length && bytes[i] !== PLUS && bytes[i] !== HASH; i++) {
      if (bytes[i] !== SLASH) continue;
      end = i;
      if (++levels === BEGINNING_LEVELS) break;
    }
    return levels === 0 ? 0 : this.#counterOf(wordsOf(bytes), end);
  }

  #fresh(route: Route): Route {
    if (route.revision === this.#revision) return route;
    let changes = this.#changes[0]!;
    const { beginnings } = route;
    for (let i = 0; i < beginnings.length; i++) changes += this.#changes[beginnings[i]!]!;
    if (route.revision === 0 || changes !== route.changes) this.#match(route);
    route.changes = changes;
    route.revision = this.#revision;
    return route;
  }

  #match(route: Route): void {
    const found: Subscriber[] = [];
    this.nodesVisited += this.#tree.match(route.topic, found);
    const locals: LocalSubscription[] = [];
    const services: ServiceSubscription[] = [];
    const examiners: Examiner[] = [];
    const groups: SharedGroup[] = [];
    const targets = new Map<Session, Target>();
    const hidden = isIngest(route.topic) || found.some((each) => each.kind === "service" && each.service.confidential);
    for (const subscriber of found) {
      if (subscriber.kind === "local") locals.push(subscriber);
      else if (subscriber.kind === "service") services.push(subscriber);
      else if (subscriber.kind === "examiner") examiners.push(subscriber);
      else if (hidden) continue;
      else if (subscriber.kind === "group") groups.push(subscriber);
      else {
        const target = targets.get(subscriber.session);
        if (target === undefined) targets.set(subscriber.session, new Target(subscriber));
        else target.merge(subscriber);
      }
    }
    this.#targets += targets.size + groups.length - route.targets.length - route.groups.length;
    route.targets = [...targets.values()];
    route.groups = groups.length === 0 ? NO_GROUPS : groups;
    route.isWanted = targets.size > 0 || groups.length > 0;
    route.locals = locals;
    route.services = services.length === 0 ? NO_SERVICES : services;
    route.examiners = examiners.length === 0 ? NO_EXAMINERS : examiners;
    route.isExamined = examiners.length > 0;
    route.isServed = locals.length + services.length > 0;
    if (this.#targets > this.#limits.routeTargetsMax) {
      for (const other of this.#places) if (other !== null && other !== route) this.#forgetTargets(other);
    }
  }

  /** They are found again when the topic is. Whoever is delivering to them holds the list itself. */
  #forgetTargets(route: Route): void {
    this.#targets -= route.targets.length + route.groups.length;
    route.targets = [];
    route.groups = NO_GROUPS;
    route.revision = 0;
  }
}

function isOf(route: Route, hash: number, words: DataView, start: number, length: number): boolean {
  return route.hash === hash && route.length === length && areWords(route.words, length, words, start);
}
