/**
 * Schemas of topics as documents, and in force: each looks at the messages of its filter before the broker takes them. Every text that
 * a schema has had is a version; the newest are kept to look at.
 */
import { compileSchema, SchemaFault } from "../../adapters/json-schema.ts";
import type { SchemaCheck } from "../../adapters/json-schema.ts";
import { LIMITS, isJsonObject, parseJson, reasonOf, topicFilterFault, topicMatches } from "../../base/mod.ts";
import type { Cancel, Counter, JsonObject, JsonValue, Logger, Metrics } from "../../base/mod.ts";
import type { Broker, Objection } from "../../broker/mod.ts";
import type { StoredDocument } from "../../rules/mod.ts";
import type { SchemaSummary, SchemaTest, SchemaView } from "../api/contract-files.ts";
import { canonicalText, documentInvalid, fieldsOf } from "../files/mod.ts";
import type { DocumentKind, Documents } from "../files/mod.ts";

export interface TopicSchemasOptions {
  readonly broker: Pick<Broker, "examine">;
  /** What is kept beside the rules: former versions are among it. */
  readonly stored: readonly StoredDocument[];
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const OUTCOMES = { reject: "reject", flag: "flag", deadletter: "keep-aside" } as const;
type OnViolation = keyof typeof OUTCOMES;

const KEYS = ["description", "topic", "onViolation", "schema"] as const;
const NAME = /^[a-zA-Z0-9_-]{1,128}$/;
/** Of fields that were asked for since the schemas last changed: a dashboard asks for the same ones again and again. */
const UNITS_KEPT_MAX = 10_000;
const UNIT_CHARS_MAX = 12;
const DESCRIPTION_CHARS_MAX = 4_096;
const VERSIONS = "schema-versions";
const JSON_LIMITS = { jsonBytesMax: LIMITS.schemas.payloadBytesMax, jsonDepthMax: LIMITS.schemas.payloadDepthMax };

interface Versions {
  /** Of the newest. */
  readonly version: number;
  /** Oldest first, the newest last. */
  readonly documents: readonly JsonObject[];
}

interface InForce {
  readonly check: SchemaCheck;
  readonly cancel: Cancel;
  examined: number;
  unfit: number;
}

export class TopicSchemas implements DocumentKind {
  readonly kind = "schema";
  readonly max = LIMITS.schemas.schemasMax;
  readonly #o: TopicSchemasOptions;
  readonly #versions = new Map<string, Versions>();
  readonly #inForce = new Map<string, InForce>();
  readonly #examined: Counter;
  readonly #unfit: Readonly<Record<OnViolation, Counter>>;
  readonly #units = new Map<string, string | null>();
  #documents: Documents = new Map();

  constructor(options: TopicSchemasOptions) {
    this.#o = options;
    const { metrics } = options;
    for (const { kind, name, document } of options.stored) {
      if (kind === VERSIONS && document !== null) this.#versions.set(name, document as unknown as Versions);
    }
    this.#examined = metrics.counter({
      name: "tidewire_schema_examined_total",
      help: "Messages that were compared with a schema of their topic",
    });
    const unfit = (outcome: OnViolation): Counter =>
      metrics.counter({
        name: "tidewire_schema_unfit_total",
        help: "Messages that did not fit a schema of their topic, by what became of them",
        labels: { outcome },
      });
    this.#unfit = { reject: unfit("reject"), flag: unfit("flag"), deadletter: unfit("deadletter") };
  }

  check(name: string, input: unknown): JsonObject {
    const invalid = (at: string, reason: string): Error => documentInvalid(this.kind, at, reason);
    if (!NAME.test(name)) throw invalid("name", "1 to 128 letters, digits, _ and - are allowed");
    const { description, topic, onViolation = "reject", schema } = fieldsOf(this.kind, input, KEYS);
    if (description !== undefined && (typeof description !== "string" || description.length > DESCRIPTION_CHARS_MAX)) {
      throw invalid("description", `it must be text of at most ${DESCRIPTION_CHARS_MAX} characters`);
    }
    if (typeof topic !== "string" || topicFilterFault(topic, LIMITS.mqtt) !== null || topic.startsWith("$")) {
      throw invalid("topic", "it must be a topic filter such as telemetry/+/weather, not one that begins with $");
    }
    if (typeof onViolation !== "string" || !Object.hasOwn(OUTCOMES, onViolation)) {
      throw invalid("onViolation", `it must be one of ${Object.keys(OUTCOMES).join(", ")}`);
    }
    if (!isJsonObject(schema as JsonValue)) throw invalid("schema", "it must be a JSON Schema, an object");
    const given = schema as JsonObject;
    if (JSON.stringify(given).length > LIMITS.schemas.schemaBytesMax) {
      throw invalid("schema", `it is longer than ${LIMITS.schemas.schemaBytesMax} bytes`);
    }
    try {
      compileSchema(given);
    } catch (error) {
      if (!(error instanceof SchemaFault)) throw error;
      throw invalid(error.at === "" ? "schema" : `schema.${error.at}`, error.message);
    }
    return { ...(description === undefined ? {} : { description }), topic, onViolation, schema: given };
  }

  mapSecrets(document: JsonObject): JsonObject {
    return document;
  }

  beside(name: string, after: JsonObject | null): StoredDocument[] {
    const versions = after === null ? null : nextVersions(this.#versions.get(name), after);
    return [{ kind: VERSIONS, name, document: versions as unknown as JsonObject | null }];
  }

  adopt(documents: Documents): void {
    this.#units.clear();
    const before = this.#documents;
    this.#documents = new Map(documents);
    for (const [name, { cancel }] of this.#inForce) {
      if (documents.get(name) === before.get(name)) continue;
      cancel();
      this.#inForce.delete(name);
      if (!documents.has(name)) this.#versions.delete(name);
    }
    for (const [name, document] of documents) if (!this.#inForce.has(name)) this.#putInForce(name, document);
  }

  list(): SchemaSummary[] {
    return [...this.#documents].map(([name, document]) => this.#summaryOf(name, document));
  }

  /** Undefined where there is none. */
  view(name: string): SchemaView | undefined {
    const document = this.#documents.get(name);
    if (document === undefined) return undefined;
    const { version, documents } = this.#versions.get(name)!;
    const versions = documents.map((text, i) => ({ version: version - documents.length + 1 + i, document: text }));
    return { ...this.#summaryOf(name, document), document, versions };
  }

  /** The `x-unit` of a field (`cpu.percent`) of what a thing measures, where a schema of its topic says it; the first by name that does. */
  unitOf(thing: string, measurement: string | null, field: string): string | null {
    const key = JSON.stringify([thing, measurement, field]);
    const kept = this.#units.get(key);
    if (kept !== undefined) return kept;
    if (this.#units.size >= UNITS_KEPT_MAX) this.#units.clear();
    const unit = this.#lookUpUnit(thing, measurement, field);
    this.#units.set(key, unit);
    return unit;
  }

  #lookUpUnit(thing: string, measurement: string | null, field: string): string | null {
    const topic = measurement === null ? `telemetry/${thing}` : `telemetry/${thing}/${measurement}`;
    for (const [, { topic: filter, schema }] of [...this.#documents].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!topicMatches(filter as string, topic)) continue;
      const unit = field.split(".").reduce<JsonValue | undefined>(propertyOf, schema);
      const named = unit !== undefined && isJsonObject(unit) ? unit["x-unit"] : undefined;
      if (typeof named === "string" && named.length <= UNIT_CHARS_MAX) return named;
    }
    return null;
  }

  /** Whether a payload would fit; counts nothing. Undefined where there is no such schema. */
  test(name: string, payload: Uint8Array): SchemaTest | undefined {
    const inForce = this.#inForce.get(name);
    if (inForce === undefined) return undefined;
    const reason = reasonAgainst(inForce.check, payload);
    return { fits: reason === null, reason };
  }

  #summaryOf(name: string, document: JsonObject): SchemaSummary {
    const { examined = 0, unfit = 0 } = this.#inForce.get(name) ?? {};
    const { topic, onViolation } = document as { topic: string; onViolation: OnViolation };
    return { name, topic, onViolation, version: this.#versions.get(name)?.version ?? 1, examined, unfit };
  }

  #putInForce(name: string, document: JsonObject): void {
    const versions = nextVersions(this.#versions.get(name), document);
    this.#versions.set(name, versions);
    const { topic, onViolation } = document as { topic: string; onViolation: OnViolation };
    const label = `${name} v${versions.version}`;
    try {
      const check = compileSchema(document["schema"] as JsonObject);
      const inForce: InForce = { check, cancel: () => cancel(), examined: 0, unfit: 0 };
      const cancel = this.#o.broker.examine(topic, (_, payload) => this.#examine(inForce, label, onViolation, payload));
      this.#inForce.set(name, inForce);
    } catch (error) {
      this.#o.logger.error("A saved schema is not valid any more and is not in force", {
        schema: name,
        reason: reasonOf(error),
      });
    }
  }

  #examine(inForce: InForce, schema: string, onViolation: OnViolation, payload: Uint8Array): Objection | null {
    inForce.examined++;
    this.#examined.value++;
    const reason = reasonAgainst(inForce.check, payload);
    if (reason === null) return null;
    inForce.unfit++;
    this.#unfit[onViolation].value++;
    // A dead letter is bounded like every other; what is larger can only be refused.
    const tooLarge = onViolation === "deadletter" && payload.length > LIMITS.rules.deliveryBodyBytesMax;
    return { outcome: tooLarge ? "reject" : OUTCOMES[onViolation], schema, reason };
  }
}

function nextVersions(known: Versions | undefined, document: JsonObject): Versions {
  if (known === undefined) return { version: 1, documents: [document] };
  if (canonicalText(known.documents.at(-1)!) === canonicalText(document)) return known;
  const documents = [...known.documents, document].slice(-LIMITS.schemas.versionsKeptMax);
  return { version: known.version + 1, documents };
}

function reasonAgainst(check: SchemaCheck, payload: Uint8Array): string | null {
  const parsed = parseJson(payload, JSON_LIMITS);
  if (parsed.ok) return check(parsed.value);
  return { "not-json": "it is no JSON", "too-deep": "it is nested too deeply", "too-large": "it is too large" }[
    parsed.fault
  ];
}

function propertyOf(schema: JsonValue | undefined, key: string): JsonValue | undefined {
  const properties = schema !== undefined && isJsonObject(schema) ? schema["properties"] : undefined;
  if (properties === undefined || !isJsonObject(properties) || !Object.hasOwn(properties, key)) return undefined;
  return properties[key];
}
