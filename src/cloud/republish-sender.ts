/** `republish` of rules: a message of the platform's own for the broker. Delivered when it is in the log, on disk. */
import { LIMITS, TidewireError, ingestOf, isTidewireError, reasonOf, topicNameFault } from "../base/mod.ts";
import type {
  Cancel,
  Clock,
  Counter,
  MessageProperties,
  Metrics,
  Millis,
  Scheduler,
  TopicLimits,
} from "../base/mod.ts";
import type { Broker, Outlet } from "../broker/mod.ts";
import { DONE, HOPS_PROPERTY, dead, targetFails } from "../rules/mod.ts";
import type { Parcel, Sender, Verdict } from "../rules/mod.ts";
import { requestOf } from "../twin/mod.ts";

export interface RepublishPorts {
  /** Null until it runs. */
  readonly broker: () => Pick<Broker, "outlet"> | null;
  readonly log: () => { readonly durable: number; onDurable(listener: (durable: number) => void): Cancel };
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly metrics: Metrics;
  readonly limits: TopicLimits;
}

const CLOSED =
  "of the topics that begin with $, a rule may republish to $$aws/things/<thing>/shadow/… (get, update, delete) and $$aws/rules/<rule>/…";

/** Requests to shadows, and Basic Ingest: what rules may say where others only listen. AWS has no more, but for jobs' topics. */
function isOpenToRules(topic: string): boolean {
  return requestOf(topic)?.origin === "client" || ingestOf(topic) !== null;
}

export class RepublishSender implements Sender {
  readonly #ports: RepublishPorts;
  readonly #stopped: Counter;
  /** Of what is said beside the body: a rule says the same object for many messages. Gone with it. */
  readonly #outlets = new WeakMap<Parcel["fields"], Outlet>();

  constructor(ports: RepublishPorts) {
    this.#ports = ports;
    this.#stopped = ports.metrics.counter({
      name: "tidewire_republish_hops_exceeded_total",
      help: "Messages not republished because rules had republished them too often: a rule feeds itself",
    });
  }

  async send(batch: readonly Parcel[], timeout: Millis): Promise<readonly Verdict[]> {
    const broker = this.#ports.broker();
    if (broker === null) return batch.map(() => targetFails("the broker is starting"));
    let last = -1;
    const now = this.#ports.clock.now();
    const verdicts = batch.map((parcel): Verdict => {
      try {
        const outlet = this.#outlets.get(parcel.fields) ?? this.#open(broker, parcel);
        if (typeof outlet === "string") return dead(outlet);
        last = outlet.publish(parcel.body, now);
        return DONE;
      } catch (error) {
        if (isTidewireError(error) && error.code === "PAYLOAD_UNFIT") return dead(error.message);
        return targetFails(error instanceof TidewireError ? error.message : reasonOf(error));
      }
    });
    if (last < 0 || (await this.#onDisk(last + 1, timeout))) return verdicts;
    return verdicts.map((verdict) =>
      verdict.type === "done" ? targetFails("the log's disk does not answer") : verdict,
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #faultOf({ fields }: Parcel): string | null {
    const { topic = "", hops } = fields;
    if (topicNameFault(topic, this.#ports.limits) !== null) return `'${topic.slice(0, 60)}' is no topic to publish to`;
    if (topic.startsWith("$") && !isOpenToRules(topic)) return CLOSED;
    if (Number(hops) <= LIMITS.rules.republishHopsMax) return null;
    this.#stopped.value++;
    return `it was republished ${LIMITS.rules.republishHopsMax} times already: a rule feeds itself`;
  }

  /** Or why it cannot go. */
  #open(broker: Pick<Broker, "outlet">, parcel: Parcel): Outlet | string {
    const fault = this.#faultOf(parcel);
    if (fault !== null) return fault;
    const { fields } = parcel;
    const { topic = "", qos, retain, thing } = fields;
    const outlet = broker.outlet({
      topic,
      qos: qos === "1" ? 1 : 0,
      retain: retain === "true",
      // A shadow counts what each client has under way; rules speak for all things.
      clientId: requestOf(topic) === null ? (thing ?? "rules") : "",
      thing: thing ?? null,
      properties: propertiesOf(fields),
    });
    this.#outlets.set(fields, outlet);
    return outlet;
  }

  #onDisk(next: number, timeout: Millis): Promise<boolean> {
    const log = this.#ports.log();
    if (log.durable >= next) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (inTime: boolean): void => {
        cancelTimeout();
        cancel();
        resolve(inTime);
      };
      const cancelTimeout = this.#ports.scheduler.after(timeout, () => settle(false));
      const cancel = log.onDurable((durable) => {
        if (durable >= next) settle(true);
      });
    });
  }
}

/** What a template gave and MQTT has no place for is left out. */
function propertiesOf(fields: Parcel["fields"]): MessageProperties {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, messageExpiry, hops } = fields;
  const given = JSON.parse(fields["userProperties"] ?? "[]") as [string, string][];
  const expiry = Number(messageExpiry ?? NaN);
  return {
    userProperties: [...given, [HOPS_PROPERTY, hops ?? "1"]],
    ...(payloadFormatIndicator === "UTF8_DATA" || payloadFormatIndicator === "1" ? { payloadFormat: 1 as const } : {}),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData: Buffer.from(correlationData) }),
    ...(Number.isInteger(expiry) && expiry >= 0 && expiry < 2 ** 32 ? { messageExpirySeconds: expiry } : {}),
  };
}
