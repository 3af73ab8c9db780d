/** Shadows on the platform: their requests out of the log, their answers through the broker, and the calls of the HTTP API. */
import { TidewireError } from "../../base/mod.ts";
import type { Cancel, EpochMs, ErrorCode } from "../../base/mod.ts";
import type { Broker, Service } from "../../broker/mod.ts";
import type { Log, LogBatch } from "../../log/mod.ts";
import { HOPS_PROPERTY, hopsOf } from "../../rules/mod.ts";
import { API_PREFIX, CLIENT_PREFIX, Twin, requestOf } from "../../twin/mod.ts";
import type { Outcome, Refusal, ShadowChange, ShadowKey, TwinOptions, TwinRequest } from "../../twin/mod.ts";
import { readRecord, topicPrefixFilter } from "../../wire/record/mod.ts";
import type { ShadowNames } from "../api/contract.ts";
import type { Foundation } from "../foundation.ts";
import type { Teardown } from "../teardown.ts";

const isRequest = topicPrefixFilter([CLIENT_PREFIX, API_PREFIX]);

type SkipRecord = (offset: number, bytes: Uint8Array, from: number, to: number) => boolean;

export class ShadowService {
  readonly #twin: Twin;
  readonly #o: TwinOptions;
  readonly #skips: SkipRecord;

  /** `skips`: whether a record is of a thing that is forgotten. */
  constructor(options: TwinOptions, logFirst: number, skips: SkipRecord = () => false) {
    this.#o = options;
    this.#skips = skips;
    this.#twin = new Twin(options, logFirst);
  }

  get position(): number {
    return this.#twin.position;
  }

  start(): void {
    this.#twin.start();
  }

  close(): void {
    this.#twin.close();
  }

  /** The log's consumer. */
  take(batch: LogBatch): Promise<void> {
    const requests: TwinRequest[] = [];
    batch.locate((offset, bytes, from, to) => {
      if (!isRequest(bytes, from, to) || this.#skips(offset, bytes, from, to)) return;
      try {
        const { topic, payload, clientId, receivedAt, properties } = readRecord(bytes.subarray(from, to));
        const request = requestOf(topic);
        if (request === null) return;
        const hops = hopsOf(properties);
        requests.push({ ...request, offset, payload, clientId, receivedAt, ...(hops === 0 ? {} : { hops }) });
      } catch (error) {
        this.#o.logger.error("A record of the log cannot be read and is skipped by the shadows.", { offset, error });
      }
    });
    return this.#twin.handle(requests, batch.baseOffset + batch.count);
  }

  /** The offset below which the log holds nothing that shadows need. */
  checkpoint(): number {
    return this.#twin.checkpoint();
  }

  status(): { readonly position: number; readonly lag: number } {
    return this.#twin.status();
  }

  /** The thing is deleted or retired. */
  forget(thing: string): void {
    this.#twin.forget(thing);
  }

  /** Its data is forgotten: the shadows are gone from the disk when this returns, or it throws. */
  erase(thing: string): void {
    this.#twin.erase(thing);
  }

  onChange(listener: (change: ShadowChange) => void): Cancel {
    return this.#twin.onChange(listener);
  }

  // ── AWS IoT's data plane; bodies are its documents, as text. Throws SHADOW_*, LOG_* ──────────

  get(key: ShadowKey): string {
    return bodyOf(this.#twin.get(key));
  }

  async update(key: ShadowKey, payload: Uint8Array): Promise<string> {
    return bodyOf(await this.#twin.update(key, payload));
  }

  async delete(key: ShadowKey): Promise<string> {
    return bodyOf(await this.#twin.delete(key));
  }

  /** The dashboard's: a `ThingShadows`, put together from text because of numbers that a double may not hold. */
  all(thing: string): string {
    const listed = this.#twin.list(thing, "", this.#o.limits.listPageDefault);
    if ("ok" in listed) throw errorOf(listed);
    const shadows = ["", ...listed.names].flatMap((name) => {
      const outcome = this.#twin.get({ thing, name });
      return outcome.ok ? [`{"name":${JSON.stringify(name)},"document":${outcome.body}}`] : [];
    });
    return `{"shadows":[${shadows.join(",")}],"truncated":${listed.next !== null}}`;
  }

  list(
    thing: string,
    page: { readonly pageSize?: number | undefined; readonly nextToken?: string | undefined },
  ): ShadowNames {
    const { listPageDefault } = this.#o.limits;
    const after = page.nextToken === undefined ? "" : Buffer.from(page.nextToken, "base64url").toString();
    const listed = this.#twin.list(thing, after, page.pageSize ?? listPageDefault);
    if ("ok" in listed) throw errorOf(listed);
    const nextToken = listed.next === null ? {} : { nextToken: Buffer.from(listed.next).toString("base64url") };
    return { results: listed.names, ...nextToken, timestamp: secondsOf(this.#o.clock.now()) };
  }
}

const PLACES = ["$aws/things/+/shadow", "$aws/things/+/shadow/name/+"];
const ANSWERS = [
  "get/accepted",
  "get/rejected",
  "update/accepted",
  "update/rejected",
  "update/delta",
  "update/documents",
];

/** Nobody but us says what became of a request. Requests themselves are read from the log. */
export const SHADOW_ANSWERS: Service = {
  name: "shadows",
  requests: [],
  answers: PLACES.flatMap((place) =>
    [...ANSWERS, "delete/accepted", "delete/rejected"].map((answer) => `${place}/${answer}`),
  ),
  confidential: false,
  handle: () => {},
};

interface Around {
  readonly base: Foundation;
  readonly store: TwinOptions["store"];
  readonly log: Log;
  readonly broker: Broker;
  readonly skips?: SkipRecord;
}

/** Starts it: from here on the log is read, and things that go take their shadows along. */
export function startShadows({ base, store, log, broker, skips }: Around, teardown: Teardown): ShadowService {
  const { registry, clock } = base;
  const options: TwinOptions = {
    ...base,
    store,
    limits: base.limits.shadow,
    things: { exists: (thing) => registry.things.find(thing) !== undefined },
    publish: (topic, payload, hops) => {
      const properties = hops === undefined ? null : { userProperties: [[HOPS_PROPERTY, String(hops)]] as const };
      const own = { clientId: "", thing: null, qos: 1, retain: false, properties } as const;
      return broker.publishLocal({ ...own, topic, payload, receivedAt: clock.now() });
    },
    durable: () => log.durable,
  };
  const shadows = new ShadowService(options, log.first, skips);
  teardown.add("shadows", () => shadows.close());
  teardown.add(
    "shadows of things",
    registry.onChange(({ kind, id, change }) => {
      if (kind === "thing" && change === "deleted") shadows.forget(id);
    }),
  );
  shadows.start();
  const consumer = log.consume(shadows.position, (batch) => shadows.take(batch), "shadows");
  teardown.add("shadows' consumer", () => consumer.close());
  return shadows;
}

const CODES: Readonly<Record<Refusal["code"], ErrorCode>> = {
  400: "SHADOW_REQUEST_INVALID",
  404: "SHADOW_NOT_FOUND",
  409: "SHADOW_VERSION_CONFLICT",
  413: "SHADOW_TOO_LARGE",
  415: "SHADOW_ENCODING",
  429: "TOO_MANY_REQUESTS",
};

function bodyOf(outcome: Outcome): string {
  if (!outcome.ok) throw errorOf(outcome);
  return outcome.body;
}

function errorOf({ code, message }: Refusal): TidewireError {
  return new TidewireError(CODES[code], { reason: message, retryAfter: "a moment" });
}

function secondsOf(time: EpochMs): number {
  return Math.floor(time / 1000);
}
