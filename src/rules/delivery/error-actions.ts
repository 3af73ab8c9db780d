/**
 * The error action of a rule: one message per rule and message whose actions failed for good, in AWS IoT's document. Failures
 * are gathered until the next save, so that two actions that fail together are told together; it is in the same
 * transaction as their dead letters. Bounded by the save.
 */
import type { Counter, JsonObject, Logger, Metrics } from "../../base/mod.ts";
import { reasonOf } from "../../base/mod.ts";
import type { DeadLetter, Origin } from "./delivery.ts";

export interface Failure {
  readonly rule: string;
  readonly letters: readonly (DeadLetter & { readonly origin: Origin })[];
}

export class ErrorActions {
  readonly #hasDied: (rule: string, event: string) => boolean;
  readonly #logger: Logger;
  readonly #gathered = new Map<string, (DeadLetter & { readonly origin: Origin })[]>();
  readonly #told: Counter;
  readonly #toldBefore: Counter;

  constructor(options: {
    readonly hasDied: (rule: string, event: string) => boolean;
    readonly logger: Logger;
    readonly metrics: Metrics;
  }) {
    this.#hasDied = options.hasDied;
    this.#logger = options.logger;
    const definition = { name: "tidewire_rule_error_actions_total", help: "Messages whose actions failed for good" };
    this.#told = options.metrics.counter({ ...definition, labels: { outcome: "told" } });
    this.#toldBefore = options.metrics.counter({ ...definition, labels: { outcome: "told-before" } });
  }

  /** Of rules without an error action, and of error actions themselves, nothing is told. */
  gather(letter: DeadLetter): void {
    const { rule, origin } = letter;
    if (rule === null || origin === null) return;
    const key = `${rule} ${origin.event}`;
    const failed = { ...letter, origin };
    const gathered = this.#gathered.get(key);
    if (gathered !== undefined) gathered.push(failed);
    else this.#gathered.set(key, [failed]);
  }

  /** What is to be told now, once each. */
  take(): Failure[] {
    const failures: Failure[] = [];
    for (const letters of this.#gathered.values()) {
      const { rule, origin } = letters[0]!;
      if (this.#diedBefore(rule!, origin.event)) {
        this.#toldBefore.value++;
        continue;
      }
      this.#told.value++;
      failures.push({ rule: rule!, letters });
    }
    this.#gathered.clear();
    return failures;
  }

  /** Where the store cannot tell, rather twice than never. */
  #diedBefore(rule: string, event: string): boolean {
    try {
      return this.#hasDied(rule, event);
    } catch (error) {
      this.#logger.error("The store of dead letters could not be asked", { reason: reasonOf(error) });
      return false;
    }
  }
}

/** AWS IoT's document; `base64Payload` is left empty where the payload alone would be too large to send. */
export function errorDocument({ rule, letters }: Failure, payloadBytesMax: number): JsonObject {
  const { topic, clientId, payload, event } = letters[0]!.origin;
  const fits = payload.length <= payloadBytesMax;
  return {
    ruleName: rule,
    topic,
    cloudwatchTraceId: event,
    clientId,
    base64OriginalPayload: fits ? base64Of(payload) : "",
    ...(fits ? {} : { payloadLeftOut: true }),
    failures: letters.map(({ origin, lastError }) => ({
      failedAction: origin.action,
      failedResource: origin.resource,
      errorMessage: lastError,
    })),
  };
}

function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
