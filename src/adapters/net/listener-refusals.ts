/** Connections that never became MQTT, or broke the rules below it: counted by reason, logged once per address, reason, hint and minute. */
import type { Clock, Counter, Logger, Metrics } from "../../base/mod.ts";
import { LIMIT_REACHED } from "../../broker/mod.ts";

/** The limits that are kept before MQTT. */
const LIMIT_OF_REASON: Readonly<Record<string, string>> = {
  "connections-full": "connectionsMax",
  "connections-per-address-full": "connectionsPerAddressMax",
  "strangers-full": "greetingsMax",
};

const QUIET_MS = 60_000;
/** Address and reason pairs remembered; a scan from more addresses than this is logged by its first ones. */
const REMEMBERED_MAX = 1_000;

interface ListenerRefusalPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onRefused?: (refusal: ListenerRefusal) => void;
}

/** A connection that was refused below MQTT. */
export interface ListenerRefusal {
  readonly remoteAddress: string;
  readonly reason: string;
  readonly hint: string;
  /** The certificate that came, with the proof that the client holds its key. */
  readonly certificate: ShownCertificate | null;
}

export interface ShownCertificate {
  readonly certificateId: string;
  readonly subject: string;
}

export class ListenerRefusals {
  readonly #listener: string;
  readonly #ports: ListenerRefusalPorts;
  readonly #counters = new Map<string, Counter>();
  readonly #quietUntil = new Map<string, number>();

  constructor(listener: string, ports: ListenerRefusalPorts) {
    this.#listener = listener;
    this.#ports = ports;
  }

  refuse(
    remoteAddress: string,
    reason: string,
    hint: string,
    error?: string,
    certificate: ShownCertificate | null = null,
  ): void {
    this.#ports.onRefused?.({ remoteAddress, reason, hint, certificate });
    this.#counter(reason).value++;
    const limit = LIMIT_OF_REASON[reason];
    if (limit !== undefined) this.#ports.metrics.counter({ ...LIMIT_REACHED, labels: { limit } }).value++;
    const now = this.#ports.clock.monotonic();
    // The hint too: a certificate that is revoked now says more than that it was inactive a moment ago.
    const key = `${reason} ${hint} ${remoteAddress}`;
    if ((this.#quietUntil.get(key) ?? 0) > now) return;
    if (this.#quietUntil.size >= REMEMBERED_MAX) this.#forgetOld(now);
    if (this.#quietUntil.size >= REMEMBERED_MAX) return;
    this.#quietUntil.set(key, now + QUIET_MS);
    const fields = { listener: this.#listener, remoteAddress, reason, hint };
    this.#ports.logger.warn(
      "a connection was refused by its listener",
      error === undefined ? fields : { ...fields, error },
    );
  }

  #forgetOld(now: number): void {
    for (const [key, until] of this.#quietUntil) if (until <= now) this.#quietUntil.delete(key);
  }

  #counter(reason: string): Counter {
    let counter = this.#counters.get(reason);
    if (counter === undefined) {
      const name = "tidewire_listener_refused_total";
      const help = "Connections refused or ended below MQTT, by reason";
      counter = this.#ports.metrics.counter({ name, help, labels: { listener: this.#listener, reason } });
      this.#counters.set(reason, counter);
    }
    return counter;
  }
}
