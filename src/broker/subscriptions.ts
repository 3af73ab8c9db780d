/** All subscriptions: filters in a tree, members of shared subscriptions in groups, and the routes that a change makes stale. */
import { sharedFilterOf } from "../base/mod.ts";
import type { Examiner } from "./examining.ts";
import { RouteCache } from "./routes.ts";
import type { RouteLimits, Subscriber } from "./routes.ts";
import type { LocalSubscription, Session, Subscription } from "./session.ts";
import type { ServiceSubscription } from "./services.ts";
import { SharedGroup } from "./shared-group.ts";
import { SubscriptionTree } from "./subscription-tree.ts";

/** Of the platform itself. */
type OwnSubscription = LocalSubscription | ServiceSubscription | Examiner;

export class Subscriptions {
  readonly routes: RouteCache;
  readonly #tree = new SubscriptionTree<Subscriber>();
  /** By share name and filter: a name with another filter is another group. Each has a member, so subscriptions bound them. */
  readonly #groups = new Map<string, SharedGroup>();
  /** Those of clients. */
  count = 0;
  sharedCount = 0;

  constructor(limits: RouteLimits, seed: number) {
    this.routes = new RouteCache(this.#tree, limits, seed);
  }

  /** The filter is valid, `$share/<name>/` included. */
  add(filter: string, subscriber: Subscription | OwnSubscription): void {
    if (subscriber.kind === "session") this.count++;
    const shared = subscriber.kind === "session" ? sharedFilterOf(filter) : null;
    if (shared === null || shared === "invalid" || subscriber.kind !== "session") {
      this.#tree.add(filter, subscriber);
      this.routes.changed(filter);
      return;
    }
    this.sharedCount++;
    let group = this.#groups.get(filter);
    if (group === undefined) {
      group = new SharedGroup(filter);
      this.#groups.set(filter, group);
      this.#tree.add(shared.filter, group);
      this.routes.changed(shared.filter);
    }
    group.add(subscriber);
  }

  remove(filter: string, subscriber: Subscription | OwnSubscription): void {
    if (subscriber.kind === "session") this.count--;
    const shared = subscriber.kind === "session" ? sharedFilterOf(filter) : null;
    if (shared === null || shared === "invalid" || subscriber.kind !== "session") {
      this.#tree.remove(filter, subscriber);
      this.routes.changed(filter);
      return;
    }
    this.sharedCount--;
    const group = this.#groups.get(filter);
    group?.remove(subscriber);
    if (group === undefined || group.size > 0) return;
    this.#groups.delete(filter);
    this.#tree.remove(shared.filter, group);
    this.routes.changed(shared.filter);
  }

  /** Of a shared subscription as clients write it; of any other filter there is none. */
  group(filter: string): SharedGroup | undefined {
    return this.#groups.get(filter);
  }

  /** The session has a connection again. */
  connected(session: Session): void {
    if (this.#groups.size === 0) return;
    for (const { filter } of session.subscriptions.list()) this.#groups.get(filter)?.connected(session);
  }
}
