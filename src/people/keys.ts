/** Keys of programs: API keys (bearer tokens) and access keys, which sign requests as AWS's SDKs do. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { isPermission } from "./permissions.ts";
import type { Permission } from "./permissions.ts";
import type { Alone, PeoplePorts } from "./ports.ts";
import type { Key, KeyKind } from "./records.ts";
import { equalHashes, randomName, randomText } from "./secrets.ts";

export interface KeyFacts {
  readonly id: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly owner: string | null;
  readonly permissions: readonly Permission[];
  readonly things: readonly string[] | null;
  readonly policies: readonly string[];
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs | null;
  readonly lastUsedAt: EpochMs | null;
  readonly lastUsedFrom: string | null;
}

export interface NewKey {
  readonly kind: KeyKind;
  readonly name: string;
  readonly permissions: readonly string[];
  readonly things?: readonly string[] | null | undefined;
  readonly policies?: readonly string[] | undefined;
  readonly expiresAt?: EpochMs | null | undefined;
}

export interface MadeKey {
  readonly key: KeyFacts;
  /** Shown once: the bearer token, or the secret of an access key. */
  readonly secret: string;
}

const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N} ._@+-]{0,62}[\p{L}\p{N}])?$/u;
const THING_PATTERN = /^[a-zA-Z0-9:_*-]{1,128}$/;
const THING_PATTERNS_MAX = 100;
/** As many as AWS IoT attaches to one principal. */
const POLICIES_MAX = 10;
const API_TOKEN = /^twk_([a-z2-7]{12})_([A-Za-z0-9_-]{43})$/;
/** Where AWS's begin with AKIA. */
const ACCESS_KEY_PREFIX = "TWAK";

export class Keys {
  readonly #ports: PeoplePorts;
  /** By id; `LIMITS.people.keysMax` at most. */
  #keys: Map<string, Key>;
  readonly #alone: Alone;
  readonly #isUser: (name: string) => boolean;
  readonly #used = new Set<string>();

  constructor(ports: PeoplePorts, alone: Alone, saved: readonly Key[], isUser: (name: string) => boolean) {
    this.#ports = ports;
    this.#alone = alone;
    this.#isUser = isUser;
    this.#keys = new Map(saved.map((key) => [key.id, key]));
    ports.metrics.observe({ name: "tidewire_keys", help: "API keys and access keys" }, () => this.#keys.size);
  }

  /** All that there are now; of those that were used here, the later use counts. */
  take(saved: readonly Key[]): void {
    const before = this.#keys;
    this.#keys = new Map(saved.map((key) => [key.id, key]));
    for (const id of this.#used) {
      const [mine, theirs] = [before.get(id), this.#keys.get(id)];
      if (mine === undefined || theirs === undefined) this.#used.delete(id);
      else if ((theirs.lastUsedAt ?? 0) < (mine.lastUsedAt ?? 0)) {
        this.#keys.set(id, { ...theirs, lastUsedAt: mine.lastUsedAt, lastUsedFrom: mine.lastUsedFrom });
      }
    }
  }

  /** Without an owner everybody's. */
  list(owner?: string | null): readonly KeyFacts[] {
    return [...this.#keys.values()]
      .filter((key) => owner === undefined || key.owner === owner)
      .map(factsOf)
      .sort((a, b) => b.createdAt - a.createdAt);
  }

  /** Throws NOT_FOUND. */
  get(id: string): KeyFacts {
    const key = this.#keys.get(id);
    if (key === undefined) throw new TidewireError("NOT_FOUND", { kind: "key", name: id.slice(0, 64) });
    return factsOf(key);
  }

  /** `allowed`: what its maker may do himself. Throws KEY_INVALID. */
  make(owner: string | null, wanted: NewKey, allowed: ReadonlySet<Permission>): MadeKey {
    const { random, sealing, clock } = this.#ports;
    const id =
      wanted.kind === "api" ? randomName(random, 12).toLowerCase() : `${ACCESS_KEY_PREFIX}${randomName(random, 16)}`;
    const secret = wanted.kind === "api" ? `twk_${id}_${randomText(random, 43)}` : randomText(random, 40);
    const key = this.#alone((): Key => {
      const made: Key = {
        id,
        kind: wanted.kind,
        name: wanted.name,
        owner,
        permissions: this.#check(owner, wanted, allowed),
        things: wanted.things ?? null,
        policies: [...new Set(wanted.policies)],
        secret: wanted.kind === "api" ? sealing.sha256(secret) : sealing.seal(secret, id),
        createdAt: clock.now(),
        expiresAt: wanted.expiresAt ?? null,
        lastUsedAt: null,
        lastUsedFrom: null,
      };
      this.#ports.store.putKey(made);
      return made;
    });
    this.#keys.set(id, key);
    return { key: factsOf(key), secret };
  }

  #check(owner: string | null, wanted: NewKey, allowed: ReadonlySet<Permission>): readonly Permission[] {
    const refuse = (reason: string): never => {
      throw new TidewireError("KEY_INVALID", { reason });
    };
    const { keysMax, keysPerOwnerMax } = LIMITS.people;
    if (!NAME.test(wanted.name)) refuse("a name is 1 to 64 letters, digits, spaces and . _ @ + -");
    if (owner !== null && !this.#isUser(owner)) refuse(`there is no user '${owner}' any more`);
    const mine = this.list(owner);
    if (mine.some((key) => key.name === wanted.name)) refuse(`there is a key '${wanted.name}' already`);
    if (mine.length >= keysPerOwnerMax || this.#keys.size >= keysMax) refuse("there are too many keys; revoke some");
    const policies = wanted.policies ?? [];
    if (wanted.permissions.length === 0 && policies.length === 0) refuse("a key needs at least one permission");
    if (policies.length > 0) {
      if (wanted.kind !== "access") refuse("policies are for MQTT, which only access keys open");
      if (!allowed.has("policies:write")) refuse("its maker does not have the permission policies:write");
      if (wanted.things !== null && wanted.things !== undefined)
        refuse("a key that is narrowed to things takes no policies: say in the policy which topics it may use");
      if (policies.length > POLICIES_MAX) refuse(`there are more than ${POLICIES_MAX} policies`);
    }
    const permissions: Permission[] = [];
    for (const text of new Set(wanted.permissions)) {
      if (!isPermission(text)) refuse(`there is no permission '${text.slice(0, 64)}'`);
      else if (allowed.has(text)) permissions.push(text);
      else refuse(`its maker does not have the permission ${text}`);
    }
    const { things, expiresAt } = wanted;
    if (things?.length === 0) refuse("a key that is narrowed to no thing at all is good for nothing");
    if ((things?.length ?? 0) > THING_PATTERNS_MAX)
      refuse(`there are more than ${THING_PATTERNS_MAX} patterns of things`);
    const wrong = things?.find((pattern) => !THING_PATTERN.test(pattern));
    if (wrong !== undefined) refuse(`'${wrong.slice(0, 128)}' is no thing name, nor one with * for any characters`);
    if (typeof expiresAt === "number" && expiresAt <= this.#ports.clock.now()) refuse("it would have expired already");
    return permissions;
  }

  /** Throws NOT_FOUND. */
  revoke(id: string): KeyFacts {
    const key = this.#alone(() => {
      const found = this.get(id);
      this.#ports.store.deleteKey(id);
      return found;
    });
    this.#keys.delete(id);
    this.#used.delete(id);
    return key;
  }

  /** The store has removed them with their owner. */
  forgetOwner(owner: string): void {
    for (const [id, key] of this.#keys) if (key.owner === owner) this.#keys.delete(id);
  }

  /** Null where it is none of ours, revoked, or expired. */
  byToken(token: string): KeyFacts | null {
    const match = API_TOKEN.exec(token);
    const key = match === null ? undefined : this.#keys.get(match[1]!);
    if (key?.kind !== "api" || !equalHashes(key.secret, this.#ports.sealing.sha256(token))) return null;
    return this.#working(key);
  }

  /** An access key with its secret; null where it is not known, revoked, expired, or cannot be opened any more. */
  bySigner(id: string): { readonly key: KeyFacts; readonly secret: string } | null {
    const key = this.#keys.get(id);
    if (key?.kind !== "access") return null;
    const facts = this.#working(key);
    const secret = facts === null ? null : this.#ports.sealing.open(key.secret, id);
    return facts === null || secret === null ? null : { key: facts, secret };
  }

  /** As it is now; null where it ended. */
  again(id: string): KeyFacts | null {
    const key = this.#keys.get(id);
    return key === undefined ? null : this.#working(key);
  }

  #working(key: Key): KeyFacts | null {
    return key.expiresAt !== null && key.expiresAt <= this.#ports.clock.now() ? null : factsOf(key);
  }

  touch(id: string, address: string): void {
    const key = this.#keys.get(id);
    const now = this.#ports.clock.now();
    if (key === undefined) return;
    const recent = key.lastUsedAt !== null && now - key.lastUsedAt < LIMITS.people.lastSeenSavedEvery;
    if (recent && key.lastUsedFrom === address) return;
    this.#keys.set(id, { ...key, lastUsedAt: now, lastUsedFrom: address });
    this.#used.add(id);
  }

  flush(): void {
    const used = [...this.#used].flatMap((id) => this.#keys.get(id) ?? []);
    if (used.length > 0) this.#ports.store.touchKeys(used);
    this.#used.clear();
  }
}

function factsOf(key: Key): KeyFacts {
  const { id, kind, name, owner, permissions, things, policies, createdAt, expiresAt, lastUsedAt, lastUsedFrom } = key;
  return { id, kind, name, owner, permissions, things, policies, createdAt, expiresAt, lastUsedAt, lastUsedFrom };
}
