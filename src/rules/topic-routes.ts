/** Which rules want a message of this topic? One Map look-up for a topic seen before. */
import { ingestOf, topicMatches } from "../base/mod.ts";

/** Topics remembered in each of the two generations. Devices repeat their topics; one that does not must not fill the memory. */
const TOPICS_CACHED_MAX = 10_000;

export class TopicRoutes<R> {
  readonly #rules: () => Iterable<R>;
  readonly #filterOf: (rule: R) => string;
  readonly #nameOf: (rule: R) => string;
  /** Two generations: topics in use move to the young one, the old one is dropped whole. */
  #young = new Map<string, readonly R[]>();
  #old = new Map<string, readonly R[]>();

  /** `rules` is asked for each topic that is new; call `forget` when it would answer differently. */
  constructor(rules: () => Iterable<R>, filterOf: (rule: R) => string, nameOf: (rule: R) => string) {
    this.#rules = rules;
    this.#filterOf = filterOf;
    this.#nameOf = nameOf;
  }

  route(topic: string): readonly R[] {
    return this.#young.get(topic) ?? this.#routeAnew(topic);
  }

  forget(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #routeAnew(topic: string): readonly R[] {
    const route = this.#old.get(topic) ?? this.#find(topic);
    if (this.#young.size >= TOPICS_CACHED_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(topic, route);
    return route;
  }

  /** Basic Ingest names its rule, whatever the rule's filter; nobody else sees it. */
  #find(topic: string): readonly R[] {
    const ingest = ingestOf(topic);
    return [...this.#rules()].filter((rule) =>
      ingest === null ? topicMatches(this.#filterOf(rule), topic) : this.#nameOf(rule) === ingest.ruleName,
    );
  }
}
