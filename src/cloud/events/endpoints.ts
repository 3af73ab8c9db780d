/** Doors for HTTP requests that become messages: `POST /in/NAME`, each with a token of its own; a form for people on wish. */
import { LIMITS, TidewireError, encodeUtf8, parseJson, seconds } from "../../base/mod.ts";
import type { Clock, Counter, JsonObject, Message, Metrics } from "../../base/mod.ts";
import { MessageInput } from "../../rules/mod.ts";
import type { KeyedHash } from "../../rules/mod.ts";
import { SqlError, compileTemplate } from "../../sql/mod.ts";
import type { CompiledTemplate } from "../../sql/mod.ts";
import type { EndpointView } from "../api/contract-files.ts";
import { documentInvalid, fieldsOf } from "../files/mod.ts";
import type { DocumentKind, Documents, SecretChange } from "../files/mod.ts";
import { checkName, isOpenTopic, optionalFlag, optionalText } from "./checks.ts";

export interface EndpointsOptions {
  /** On disk when it resolves. */
  readonly publish: (message: Message) => Promise<void>;
  readonly keyedHash: KeyedHash;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface EndpointRequest {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** Of the header; null: a form may carry it in its field `token`. */
  readonly token: string | null;
}

export interface EndpointForm {
  readonly title: string;
  readonly fields: readonly string[];
}

const KEYS = ["description", "topic", "token", "payload", "retain", "bytesMax", "requestsPerMinute", "form"] as const;
const TEMPLATE_CHARS_MAX = 8_192;
const FIELD_NAME = /^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/;
const HASHED = /^hash:[0-9a-f]{64}$/;
const MINUTE = seconds(60);

type RefusalReason = "token" | "rate" | "content";

interface Open {
  readonly document: JsonObject;
  readonly topic: CompiledTemplate;
  readonly payload: CompiledTemplate | null;
  received: number;
  refused: number;
  windowFrom: number;
  inWindow: number;
}

export class Endpoints implements DocumentKind {
  readonly kind = "endpoint";
  readonly max = LIMITS.events.endpointsMax;
  readonly #o: EndpointsOptions;
  readonly #open = new Map<string, Open>();
  readonly #received: Counter;
  readonly #refusals: Readonly<Record<RefusalReason, Counter>>;

  constructor(options: EndpointsOptions) {
    this.#o = options;
    const { metrics } = options;
    this.#received = metrics.counter({
      name: "tidewire_endpoint_requests_total",
      help: "Requests to endpoints that became messages",
    });
    const refused = (reason: RefusalReason): Counter =>
      metrics.counter({
        name: "tidewire_endpoint_refused_total",
        help: "Requests to endpoints refused",
        labels: { reason },
      });
    this.#refusals = { token: refused("token"), rate: refused("rate"), content: refused("content") };
  }

  check(name: string, input: unknown, present: JsonObject | null): JsonObject {
    checkName(this.kind, name);
    const given = fieldsOf(this.kind, input, KEYS);
    const description = optionalText(this.kind, "description", given["description"]);
    const topic = this.#template("topic", given["topic"]);
    if (!topic.includes("${") && !isOpenTopic(topic)) {
      throw documentInvalid(this.kind, "topic", "it must be a topic to publish to, and not one that begins with $");
    }
    const payload = given["payload"] === undefined ? undefined : this.#template("payload", given["payload"]);
    const retain = optionalFlag(this.kind, "retain", given["retain"]);
    const { payloadBytesMax, requestsPerMinuteMax } = LIMITS.events;
    const bytesMax = this.#whole("bytesMax", given["bytesMax"], payloadBytesMax);
    const requestsPerMinute = this.#whole("requestsPerMinute", given["requestsPerMinute"], requestsPerMinuteMax);
    const form = given["form"] === undefined ? undefined : this.#form(given["form"]);
    return {
      ...(description === undefined ? {} : { description }),
      topic,
      token: this.#token(given["token"], present),
      ...(payload === undefined ? {} : { payload }),
      ...(retain === true ? { retain } : {}),
      ...(bytesMax === undefined ? {} : { bytesMax }),
      ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
      ...(form === undefined ? {} : { form }),
    };
  }

  /** Only its hash is kept, so nobody reads it from here. */
  #token(input: unknown, present: JsonObject | null): string {
    const kept = present?.["token"];
    if (input === "***" && typeof kept === "string") return kept;
    const { tokenCharsMin } = LIMITS.events;
    if (typeof input !== "string" || input.length < tokenCharsMin || input.length > 1_024 || input.endsWith("***")) {
      throw documentInvalid(
        this.kind,
        "token",
        `it must be text of ${tokenCharsMin} characters or more: openssl rand -hex 24`,
      );
    }
    return HASHED.test(input) ? documentHash(this.kind) : this.#hash(input);
  }

  #hash(token: string): string {
    const hash = this.#o.keyedHash(`endpoint ${token}`);
    return `hash:${hash}`;
  }

  #template(at: string, input: unknown): string {
    if (typeof input !== "string" || input === "" || input.length > TEMPLATE_CHARS_MAX) {
      throw documentInvalid(this.kind, at, `it must be text of 1 to ${TEMPLATE_CHARS_MAX} characters`);
    }
    try {
      compileTemplate(input);
      return input;
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      throw documentInvalid(this.kind, at, error.reason);
    }
  }

  #whole(at: string, input: unknown, max: number): number | undefined {
    if (input === undefined) return undefined;
    if (typeof input === "number" && Number.isInteger(input) && input >= 1 && input <= max) return input;
    throw documentInvalid(this.kind, at, `it must be a whole number from 1 to ${max}`);
  }

  #form(input: unknown): JsonObject {
    const given = fieldsOf(this.kind, input, ["title", "fields"], "form");
    const title = optionalText(this.kind, "form.title", given["title"], 200) ?? "";
    const { fields } = given;
    const { fieldsPerFormMax } = LIMITS.events;
    const isList = Array.isArray(fields) && fields.length > 0 && fields.length <= fieldsPerFormMax;
    if (!isList || !fields.every((field) => typeof field === "string" && FIELD_NAME.test(field) && field !== "token")) {
      throw documentInvalid(
        this.kind,
        "form.fields",
        `it must be a list of 1 to ${fieldsPerFormMax} names (letters, digits, _)`,
      );
    }
    return { title, fields: fields as string[] };
  }

  mapSecrets(document: JsonObject, change: SecretChange): JsonObject {
    return { ...document, token: change(document["token"] as string, "***") };
  }

  adopt(documents: Documents): void {
    for (const [name, { document }] of this.#open) if (documents.get(name) !== document) this.#open.delete(name);
    for (const [name, document] of documents) {
      if (this.#open.has(name)) continue;
      const payload = document["payload"] === undefined ? null : compileTemplate(document["payload"] as string);
      const topic = compileTemplate(document["topic"] as string);
      this.#open.set(name, { document, topic, payload, received: 0, refused: 0, windowFrom: -Infinity, inWindow: 0 });
    }
  }

  list(): EndpointView[] {
    return [...this.#open].map(([name, { document, received, refused }]) => ({
      name,
      topic: document["topic"] as string,
      form: document["form"] !== undefined,
      received,
      refused,
    }));
  }

  /** Null where there is none for people. */
  form(name: string): EndpointForm | null {
    const form = this.#open.get(name)?.document["form"];
    return form === undefined ? null : (form as unknown as EndpointForm);
  }

  /** On disk when it resolves: the topic. Throws NOT_FOUND, UNAUTHORIZED, TOO_MANY_REQUESTS, REQUEST_*, and what publishing throws. */
  async receive(name: string, request: EndpointRequest): Promise<string> {
    const open = this.#open.get(name);
    if (open === undefined) throw new TidewireError("NOT_FOUND", { kind: "endpoint", name: name.slice(0, 128) });
    const { value, token } = valueOf(request);
    if (token === null || this.#hash(token) !== open.document["token"]) {
      throw this.#refused(open, "token", new TidewireError("UNAUTHORIZED"));
    }
    this.#spend(open);
    const bytesMax = (open.document["bytesMax"] as number | undefined) ?? LIMITS.events.payloadBytesMax;
    if (request.body.length > bytesMax) {
      throw this.#refused(open, "content", new TidewireError("REQUEST_TOO_LARGE", { limit: bytesMax }));
    }
    const message = this.#message(name, open, value);
    try {
      await this.#o.publish(message);
    } catch (error) {
      throw this.#refused(open, "content", error);
    }
    open.received++;
    this.#received.value++;
    return message.topic;
  }

  #refused<E>(open: Open, reason: RefusalReason, error: E): E {
    open.refused++;
    this.#refusals[reason].value++;
    return error;
  }

  #spend(open: Open): void {
    const now = this.#o.clock.monotonic();
    if (now - open.windowFrom >= MINUTE) {
      open.windowFrom = now;
      open.inWindow = 0;
    }
    const { requestsPerMinuteMax } = LIMITS.events;
    if (++open.inWindow <= ((open.document["requestsPerMinute"] as number | undefined) ?? requestsPerMinuteMax)) return;
    throw this.#refused(open, "rate", new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "a minute" }));
  }

  #message(name: string, open: Open, payload: Uint8Array): Message {
    const clientId = `endpoint:${name}`;
    const given = {
      qos: 1,
      retain: false,
      clientId,
      thing: null,
      receivedAt: this.#o.clock.now(),
      properties: null,
    } as const;
    const input = new MessageInput({ ...given, topic: "", payload });
    // What a stranger sends makes no levels and no wildcards of a topic.
    let lacks = false;
    const topic = open.topic.render(input, { name }, (text) => {
      lacks ||= text === "";
      return text.replace(/[/+#$\0]/g, "_");
    });
    if (lacks || !isOpenTopic(topic)) {
      const error = new TidewireError("REQUEST_INVALID", { reason: "what it holds makes no topic to publish to" });
      throw this.#refused(open, "content", error);
    }
    const body = open.payload === null ? payload : encodeUtf8(open.payload.render(input, { name }));
    return { ...given, topic, payload: body, retain: open.document["retain"] === true };
  }
}

/** Somebody has taken a hash for the token. */
function documentHash(kind: string): never {
  throw documentInvalid(kind, "token", "it is the hash of a token; write the token itself, or *** for the present one");
}

/** The payload: a form as an object of its fields, everything else as it came. */
function valueOf({ body, contentType, token }: EndpointRequest): {
  readonly value: Uint8Array;
  readonly token: string | null;
} {
  if (!/^application\/x-www-form-urlencoded\b/i.test(contentType)) return { value: body, token };
  const fields = new URLSearchParams(new TextDecoder().decode(body));
  const given = fields.get("token");
  fields.delete("token");
  const entries = [...fields]
    .slice(0, LIMITS.events.fieldsPerFormMax)
    .map(([key, text]) => [key, scalarOf(text)] as const);
  return { value: encodeUtf8(JSON.stringify(Object.fromEntries(entries))), token: token ?? given };
}

/** People type numbers into forms. */
function scalarOf(text: string): string | number | boolean {
  if (!/^(?:-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?|true|false)$/.test(text)) return text;
  const parsed = parseJson(encodeUtf8(text), { jsonBytesMax: 64, jsonDepthMax: 1 });
  return parsed.ok ? (parsed.value as number | boolean) : text;
}
