/**
 * Policies as files: the document alone, which becomes the default version. What they are attached to is the business of whoever
 * enrols devices, and stands in no file.
 */
import { LIMITS, TidewireError, encodeUtf8, isJsonObject, parseJson, seconds } from "../base/mod.ts";
import type { Clock, JsonObject, JsonValue, Logger, Millis } from "../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../identity/mod.ts";
import type { Registry } from "../registry/mod.ts";
import { documentInvalid, canonicalText } from "./files/mod.ts";
import type { ChangeElsewhere, KindElsewhere } from "./files/mod.ts";

export interface PolicyFilesOptions {
  readonly registry: Registry;
  readonly clock: Pick<Clock, "monotonic">;
  readonly logger: Logger;
}

interface Listed {
  readonly name: string;
  readonly document: JsonObject;
}

/** The revision of what runs is asked for with every rule that is opened. A registry that others share may change without a word. */
const LISTED_FOR = seconds(1);

/** As AWS IoT; one that begins with a dot would be a file that is left out. */
const NAME = /^[\w+=,@-][\w+=,.@-]{0,127}$/;
/** Made by "allow exactly this", for one certificate (`policy-desk.ts`). */
const OF_ONE_CERTIFICATE = /^allow-[0-9a-f]{16}$/;

export class PolicyFiles implements KindElsewhere {
  readonly kind = "policy";
  readonly #registry: Registry;
  readonly #clock: PolicyFilesOptions["clock"];
  readonly #logger: Logger;
  #listed: { readonly until: Millis; readonly policies: readonly Listed[] } | null = null;

  /** Listens to the registry as long as there is one. */
  constructor({ registry, clock, logger }: PolicyFilesOptions) {
    this.#registry = registry;
    this.#clock = clock;
    this.#logger = logger;
    registry.onChange(({ kind }) => {
      if (kind === "policy") this.#listed = null;
    });
  }

  /** The first `policiesMax` by name: where each device has one of its own, they are no work of people. */
  list(): readonly Listed[] {
    const now = this.#clock.monotonic();
    if (this.#listed === null || now >= this.#listed.until) {
      this.#listed = { until: now + LISTED_FOR, policies: this.#read() };
    }
    return this.#listed.policies;
  }

  #read(): Listed[] {
    const found: Listed[] = [];
    let nextToken: string | null = null;
    do {
      const page = this.#registry.policies.list({ nextToken });
      for (const { policyName: name, document } of page.items) {
        if (OF_ONE_CERTIFICATE.test(name) || !NAME.test(name)) continue;
        found.push({ name, document: parsed(document) });
        if (found.length >= LIMITS.files.policiesMax) return found;
      }
      nextToken = page.nextToken;
    } while (nextToken !== null);
    return found;
  }

  find(name: string): JsonObject | null {
    const policy = NAME.test(name) ? this.#registry.policies.find(name) : undefined;
    return policy === undefined ? null : parsed(policy.document);
  }

  check(name: string, input: unknown): JsonObject {
    if (!NAME.test(name)) {
      const reason = "1 to 128 letters, digits and _+=,.@- are allowed, and no dot at the beginning";
      throw documentInvalid(this.kind, "name", reason);
    }
    if (!isJsonObject(input as JsonValue)) throw documentInvalid(this.kind, "", "it must be an object");
    try {
      this.#registry.policies.check(textOf(input as JsonObject));
      return input as JsonObject;
    } catch (error) {
      if (!(error instanceof TidewireError) || error.code !== "POLICY_INVALID") throw error;
      const reason = String(error.details["reason"]);
      // `Statement[0].Action: …`, as the parser says where it is.
      const at = /\b(Version|Id|Statement(?:\[\d+\])?(?:\.\w+)?)\b/.exec(reason)?.[1] ?? "";
      throw documentInvalid(this.kind, at, reason);
    }
  }

  isNeeded(name: string): boolean {
    if (name === DEFAULT_POLICY_NAME) return true;
    return this.#registry.policies.targets(name, { maxResults: 1 }).items.length > 0;
  }

  make(changes: readonly ChangeElsewhere[]): void {
    this.#registry.atomically(() => {
      for (const change of changes) this.#makeOne(change);
    });
  }

  #makeOne({ name, after }: ChangeElsewhere): void {
    const { policies } = this.#registry;
    try {
      const present = this.find(name);
      if (after === null) this.#delete(name);
      else if (present === null || canonicalText(present) !== canonicalText(after)) policies.put(name, textOf(after));
    } catch (error) {
      if (!(error instanceof TidewireError) || !OBSOLETE.includes(error.code)) throw error;
      this.#logger.error("A policy that was applied could not be changed", { policy: name, error });
    }
  }

  #delete(name: string): void {
    const { policies } = this.#registry;
    if (policies.find(name) === undefined || this.isNeeded(name)) return;
    for (const { version, isDefault } of policies.versions(name)) if (!isDefault) policies.deleteVersion(name, version);
    policies.delete(name);
  }
}

/** It was possible when it was decided, and is not any more: a limit was lowered, or somebody needs it now. */
const OBSOLETE: readonly string[] = ["POLICY_INVALID", "STILL_IN_USE", "NOT_FOUND"];

function textOf(document: JsonObject): string {
  return JSON.stringify(document, null, 2);
}

function parsed(document: string): JsonObject {
  const json = parseJson(encodeUtf8(document), { jsonBytesMax: Infinity, jsonDepthMax: LIMITS.rules.jsonDepthMax });
  if (!json.ok || !isJsonObject(json.value))
    throw new TidewireError("INTERNAL", { reason: "a stored policy is no document" });
  return json.value;
}
