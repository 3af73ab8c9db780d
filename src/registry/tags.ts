/** Tags of resources. Things and certificates have none, as on AWS: a thing's attributes serve. */
import { LIMITS } from "../base/mod.ts";
import type { RegistryContext } from "./context.ts";
import { checkText, invalid, resourceOf, shown } from "./names.ts";
import type { Tag } from "./records.ts";
import { limit, notFound } from "./refusals.ts";

export class Tags {
  readonly #context: RegistryContext;
  /** By the first part of `rule/NAME`. Bounded by the rooms that keep resources. */
  readonly #kinds = new Map<string, (id: string) => boolean>();

  constructor(context: RegistryContext) {
    const { store } = context;
    this.#context = context;
    this.#kinds.set("thinggroup", (name) => store.groups.find(name) !== undefined);
    this.#kinds.set("thingtype", (name) => store.types.find(name) !== undefined);
    this.#kinds.set("policy", (name) => store.policies.find(name) !== undefined);
    this.#kinds.set("cacert", (id) => store.authorities.find(id) !== undefined);
  }

  /** For who keeps other resources: `taggable("rule", (name) => …)`. It calls `forget` when one is deleted. */
  taggable(kind: string, exists: (id: string) => boolean): void {
    this.#kinds.set(kind, exists);
  }

  forget(resource: string): void {
    const { store, ledger } = this.#context;
    ledger.atomically(() => store.tags.remove(resource, null));
  }

  /** By key. */
  of(arn: string): readonly Tag[] {
    return this.#context.store.tags.of(this.#existing(arn));
  }

  /** A tag that is there under this key is replaced. */
  add(arn: string, tags: readonly Tag[]): void {
    const { store, ledger } = this.#context;
    for (const tag of tags) checkTag(tag);
    if (new Set(tags.map(({ key }) => key)).size < tags.length) throw invalid("a tag's key is given twice");
    ledger.atomically(() => {
      const resource = this.#existing(arn);
      const keys = new Set([...store.tags.of(resource), ...tags].map(({ key }) => key));
      const { tagsPerResourceMax } = LIMITS.registry;
      if (keys.size > tagsPerResourceMax) limit("tags of one resource", tagsPerResourceMax);
      store.tags.save(resource, tags);
      ledger.changed({ kind: "tags", id: resource, change: "updated", principals: [] });
    });
  }

  /** Keys that are not there are no error. */
  remove(arn: string, keys: readonly string[]): void {
    const { store, ledger } = this.#context;
    const { tagsPerResourceMax } = LIMITS.registry;
    if (keys.length > tagsPerResourceMax) limit("keys in one request", tagsPerResourceMax);
    ledger.atomically(() => {
      const resource = this.#existing(arn);
      store.tags.remove(resource, keys);
      ledger.changed({ kind: "tags", id: resource, change: "updated", principals: [] });
    });
  }

  #existing(arn: string): string {
    const resource = resourceOf(arn);
    const slash = resource.indexOf("/");
    const [kind, id] = [resource.slice(0, slash), resource.slice(slash + 1)];
    const exists = this.#kinds.get(kind);
    if (exists === undefined) {
      const kinds = [...this.#kinds.keys()].sort().join(", ");
      throw invalid(`a '${shown(kind)}' has no tags, only these have: ${kinds}`);
    }
    if (!exists(id)) notFound(kind, shown(id));
    return resource;
  }
}

/** AWS's characters of keys and values. */
const TAG = /[^\p{L}\p{Z}\p{N}_.:/=+\-@]/u;

function checkTag({ key, value }: Tag): void {
  const { tagKeyLengthMax, tagValueLengthMax } = LIMITS.registry;
  checkText("a tag's key", key, tagKeyLengthMax);
  checkText("a tag's value", value, tagValueLengthMax);
  if (key === "") throw invalid("a tag's key is empty");
  if (key.toLowerCase().startsWith("aws:")) throw invalid("a tag's key must not begin with 'aws:'");
  const wrong = TAG.exec(key) ?? TAG.exec(value);
  if (wrong !== null)
    throw invalid(`'${shown(wrong[0])}' is not allowed in a tag, only letters, digits, spaces and _.:/=+-@`);
}
