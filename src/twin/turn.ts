/** Some requests, worked off one behind the other on what is kept; what comes of it is saved as one. */
import type { EpochMs, Limits } from "../base/mod.ts";
import { acceptedAnswer, bodyText, newsOf, rejectedAnswer } from "./answers.ts";
import type { ShadowCache } from "./cache.ts";
import { REFUSED } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";
import { decodeDelete, decodeGet, decodeUpdate } from "./request.ts";
import { ABSENT, described, shadowFromText, shadowText, update } from "./shadow.ts";
import type { Present, Shadow } from "./shadow.ts";
import type { Answer, ShadowStore, StoredShadow } from "./store.ts";
import { isShadowName } from "./topics.ts";
import type { RequestTopic, ShadowKey } from "./topics.ts";

/** One request out of the log. */
export interface TwinRequest extends RequestTopic {
  readonly offset: number;
  /** May be a view: it is read before `Twin.handle` resolves. */
  readonly payload: Uint8Array;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  /** How often rules had republished it, where they had: its answers carry it on, so that rules that feed each other end. */
  readonly hops?: number;
}

/** `body`: the accepted document. */
export type Outcome = { readonly ok: true; readonly body: string } | Refusal;

export interface Kept {
  readonly store: ShadowStore;
  readonly cache: ShadowCache;
  readonly things: { exists(thing: string): boolean };
  readonly limits: Limits["shadow"];
}

interface Change {
  readonly stored: StoredShadow;
  readonly shadow: Shadow;
}

export class Turn {
  readonly #kept: Kept;
  /** By place; as many as there are requests. */
  readonly changes = new Map<string, Change>();
  readonly answers: Answer[] = [];

  constructor(kept: Kept) {
    this.#kept = kept;
  }

  /** `crowded`: its connection has too many on the way. `null`: it is too late to answer. */
  work(request: TwinRequest, now: EpochMs, crowded: boolean): Outcome | null {
    const first = this.answers.length;
    const outcome = this.#operate(request, now, crowded);
    const { hops } = request;
    if (hops !== undefined) {
      for (let i = first; i < this.answers.length; i++) this.answers[i] = { ...this.answers[i]!, hops };
    }
    return outcome;
  }

  #operate(request: TwinRequest, now: EpochMs, crowded: boolean): Outcome | null {
    switch (request.operation) {
      case "get":
        return this.#get(request, now, crowded);
      case "update":
        return this.#update(request, crowded);
      case "delete":
        return this.#delete(request, crowded);
    }
  }

  /** What is there, with the changes of this turn. */
  read(key: ShadowKey, now: EpochMs): Shadow {
    return this.changes.get(placeOf(key))?.shadow ?? readShadow(this.#kept, key, now);
  }

  #get(request: TwinRequest, now: EpochMs, crowded: boolean): Outcome | null {
    const until = this.#untilOf(request)!;
    if (now > until) return null;
    const { clientToken, result } = decodeGet(request.payload, this.#kept.limits);
    const refused = crowded ? REFUSED.inflight : result.ok ? this.#refusalOf(request) : result;
    if (refused !== null) return this.#refuse(request, refused, clientToken);
    const shadow = this.#present(request);
    if (shadow === null) return this.#refuse(request, REFUSED.shadow(request), clientToken);
    const body = bodyText(described(shadow, request.receivedAt), clientToken);
    this.answers.push(acceptedAnswer(request, "get", body, until));
    return { ok: true, body };
  }

  #update(request: TwinRequest, crowded: boolean): Outcome {
    const { limits } = this.#kept;
    const { clientToken, result } = decodeUpdate(request.payload, limits);
    if (crowded) return this.#refuse(request, REFUSED.inflight, clientToken);
    if (!result.ok) return this.#refuse(request, result, clientToken);
    const refused = this.#refusalOf(request);
    if (refused !== null) return this.#refuse(request, refused, clientToken);
    const updated = update(this.read(request, request.receivedAt), result, request.receivedAt, limits);
    if (!updated.ok) return this.#refuse(request, updated, clientToken);
    this.#change(request, updated.shadow, shadowText(updated.shadow));
    const body = bodyText(updated.accepted, clientToken);
    this.answers.push(acceptedAnswer(request, "update", body, null), ...newsOf(request, updated, clientToken));
    return { ok: true, body };
  }

  #delete(request: TwinRequest, crowded: boolean): Outcome {
    const { clientToken } = decodeDelete(request.payload, this.#kept.limits);
    const refused = crowded ? REFUSED.inflight : this.#refusalOf(request);
    if (refused !== null) return this.#refuse(request, refused, clientToken);
    const shadow = this.#present(request);
    if (shadow === null) return this.#refuse(request, REFUSED.shadow(request), clientToken);
    const { version } = shadow;
    this.#change(request, { kind: "deleted", version }, null);
    const body = bodyText({ version, timestamp: Math.floor(request.receivedAt / 1000) }, clientToken);
    this.answers.push(acceptedAnswer(request, "delete", body, null));
    return { ok: true, body };
  }

  #present(request: TwinRequest): Present | null {
    const shadow = this.read(request, request.receivedAt);
    return shadow.kind === "present" ? shadow : null;
  }

  /** Of a shadow that is not there: whether there may be one. One that is there has a thing. */
  #refusalOf(request: TwinRequest): Refusal | null {
    const { thing, name } = request;
    if (name !== "" && !isShadowName(name)) return REFUSED.shadowName;
    const { kind } = this.read(request, request.receivedAt);
    if (kind === "present") return null;
    const { store, things, limits } = this.#kept;
    if (!things.exists(thing)) return REFUSED.thing;
    if (request.operation !== "update" || kind === "deleted") return null;
    const added = [...this.changes.values()].filter(({ stored }) => stored.thing === thing).length;
    return store.countOf(thing) + added >= limits.perThingMax ? REFUSED.shadows : null;
  }

  #change({ thing, name, receivedAt }: TwinRequest, shadow: Shadow, text: string | null): void {
    const stored = { thing, name, version: shadow.version, text, changedAt: receivedAt };
    this.changes.set(placeOf(stored), { stored, shadow });
  }

  /** Over HTTP the caller is told, and nobody else. */
  #refuse(request: TwinRequest, refusal: Refusal, clientToken: string | null): Refusal {
    if (request.origin === "client") {
      this.answers.push(rejectedAnswer(request, refusal, clientToken, this.#untilOf(request)));
    }
    return refusal;
  }

  /** Who asked for a shadow does not wait longer; what changes one is answered whenever it is. */
  #untilOf({ operation, receivedAt }: TwinRequest): EpochMs | null {
    return operation === "get" ? receivedAt + this.#kept.limits.getAnsweredFor : null;
  }
}

export function readShadow({ store, cache, limits }: Kept, key: ShadowKey, now: EpochMs): Shadow {
  const place = placeOf(key);
  const cached = cache.get(place);
  if (cached !== undefined) return cached;
  const stored = store.shadow(key.thing, key.name);
  if (stored === undefined) return ABSENT;
  const { version, text, changedAt } = stored;
  if (text === null) return changedAt + limits.deletedKeptFor > now ? { kind: "deleted", version } : ABSENT;
  const shadow = shadowFromText(version, text);
  cache.set(place, shadow, text.length);
  return shadow;
}

/** Neither name may hold a slash. */
export function placeOf({ thing, name }: ShadowKey): string {
  return `${thing}/${name}`;
}
