/** `tidewire sub`: messages as they come, from the platform or any other broker. */
import { Command, InvalidArgumentError } from "commander";
import type { MqttConnection, ConnectionEnd, Received } from "../adapters/mqtt-client/mod.ts";
import { MqttFailure, reasonName } from "../adapters/mqtt-client/mod.ts";
import { systemClock, systemScheduler } from "../adapters/system.ts";
import { TidewireError, seconds } from "../base/mod.ts";
import type { Cancel, Millis, QoS } from "../base/mod.ts";
import { brokerError, connectAgain, connectFirst } from "./broker-link.ts";
import type { LinkOptions } from "./broker-link.ts";
import { BROKER_HELP, brokerOf, withBroker } from "./broker-options.ts";
import type { Broker, BrokerOptions } from "./broker-options.ts";
import { LineSink } from "./json-lines.ts";
import { jsonOf, messageFormat, sentenceOf } from "./message-format.ts";
import type { MessageFormat } from "./message-format.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";
import { durationOf } from "./time-options.ts";

interface Options extends BrokerOptions {
  readonly qos: QoS;
  readonly json?: boolean;
  readonly format?: string;
  readonly raw?: boolean;
  readonly count?: number;
  readonly timeout?: Millis;
  readonly retry?: Millis;
  readonly retained: boolean;
  readonly retainedOnly?: boolean;
}

/** Where a connection is lost, the broker (MQTT 5) keeps what comes meanwhile, so long. */
const SESSION_SECONDS = 300;
/** Retained messages are over when nothing has come for so long, and a ping after it was answered. */
const QUIET = seconds(0.3);
/** As a shell tells that Ctrl-C ended something that was not done. */
const EXIT_INTERRUPTED = 130;

const HELP = `${BROKER_HELP}

Output: on a terminal a line per message for people; into a pipe or file JSON lines, which \`tidewire pub\` and \`tidewire rules run\` read.
  --format  %t topic  %p payload (hex where it is no text)  %x hex  %b base64  %l bytes  %q QoS  %r retained  %I ISO time  %U Unix time
            %j JSON  %C content type  %R response topic  %D correlation data  %E expiry  %P user properties;  \\n \\t

Ends with 0 when --count is reached, or at Ctrl-C without --count; 4 not allowed, 2 no such filter, 5 no connection, 8 --timeout came first.`;

export function subCommand(output: Output): Command {
  return withBroker(new Command("sub"))
    .description("print messages as they come; without options, the platform's own")
    .argument("<filter...>", "topics; + stands for one level, # at the end for all below")
    .option("--qos <0|1|2>", "QoS of the subscription, at most", qosOf, 1)
    .option("--json", "print each message as JSON with all its properties, on one line")
    .option("--format <template>", "print each message so, e.g. '%t %p'")
    .option("--raw", "print payloads alone, byte for byte, with nothing between them")
    .option("--count <count>", "end after so many messages", countOf)
    .option("--timeout <duration>", "end after so long, e.g. 10s; without --count that is no failure", durationOf)
    .option("--no-retained", "leave out what is retained already")
    .option("--retained-only", "print what is retained, and end")
    .option("--retry <duration>", "try so long to connect again, e.g. 10m (default: until Ctrl-C)", durationOf)
    .addHelpText("after", HELP)
    .action(async (filters: readonly string[], options: Options) => {
      const broker = await brokerOf(options, "sub");
      process.exitCode = await new Subscriber(broker, filters, options, output).run();
    });
}

export function qosOf(text: string): QoS {
  if (text === "0" || text === "1" || text === "2") return Number(text) as QoS;
  throw new InvalidArgumentError("It must be 0, 1 or 2.");
}

function countOf(text: string): number {
  const count = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError("It must be a whole number above 0.");
  return count;
}

function formatOf({ json, format, raw }: Options): MessageFormat | null {
  if ([json === true, format !== undefined, raw === true].filter(Boolean).length > 1) {
    const reason = "only one of --json, --format and --raw can be";
    throw optionFault("sub", "--format", reason);
  }
  if (raw === true) return null;
  if (format !== undefined) return messageFormat(format);
  return json === true || !process.stdout.isTTY ? jsonOf : sentenceOf;
}

type Done = "counted" | "quiet" | "time" | "stopped" | "reader-gone";

class Subscriber {
  readonly #broker: Broker;
  readonly #filters: readonly string[];
  readonly #options: Options;
  readonly #output: Output;
  readonly #format: MessageFormat | null;
  readonly #sink = new LineSink(process.stdout);
  readonly #done = Promise.withResolvers<Done>();
  /** Of the connection that there is. */
  #ended = Promise.withResolvers<ConnectionEnd>();
  #count = 0;
  #lastAt = systemClock.monotonic();

  constructor(broker: Broker, filters: readonly string[], options: Options, output: Output) {
    this.#broker = broker;
    this.#filters = filters;
    this.#options = options;
    this.#output = output;
    this.#format = formatOf(options);
  }

  /** Returns the exit status. Throws what the broker refuses. */
  async run(): Promise<number> {
    const { timeout } = this.#options;
    void stopSignal().then(() => this.#done.resolve("stopped"));
    let cancel: Cancel = () => {};
    try {
      const connection = await connectFirst(this.#broker, this.#link);
      await this.#subscribe(connection);
      if (this.#options.retainedOnly !== true) this.#output.note(`Subscribed to ${this.#filters.join(", ")}.`);
      if (timeout !== undefined) cancel = systemScheduler.after(timeout, () => this.#done.resolve("time"));
      return await this.#follow(connection);
    } finally {
      cancel();
    }
  }

  readonly #link: LinkOptions = {
    sessionSeconds: SESSION_SECONDS,
    received: (message) => this.#received(message),
    settled: () => this.#settled(),
    ended: (end) => this.#ended.resolve(end),
  };

  /** From connection to connection. */
  async #follow(first: MqttConnection): Promise<number> {
    const { retry, retainedOnly } = this.#options;
    const how = { patience: retry ?? null, stop: this.#done.promise, output: this.#output };
    let connection: MqttConnection | null = first;
    for (;;) {
      if (retainedOnly === true && connection !== null) void this.#endWhenQuiet(connection);
      const end = await Promise.race([this.#done.promise, this.#ended.promise]);
      if (typeof end === "string") return this.#finish(end, connection);
      this.#ended = Promise.withResolvers();
      connection = await connectAgain(this.#broker, this.#link, end, how);
      if (connection === null) continue; // what stopped it is there by now
      if (!connection.sessionPresent) await this.#subscribe(connection);
    }
  }

  async #finish(done: Done, connection: MqttConnection | null): Promise<number> {
    connection?.leave(0);
    await this.#sink.flush();
    const { count, timeout, retainedOnly } = this.#options;
    const isShort = count !== undefined && this.#count < count && retainedOnly !== true;
    if (done === "time" && isShort) {
      const duration = `${timeout! / 1000} s`;
      throw new TidewireError("MESSAGES_MISSING", { count: this.#count, wanted: count, duration });
    }
    return done === "stopped" && isShort ? EXIT_INTERRUPTED : 0;
  }

  async #subscribe(connection: MqttConnection): Promise<void> {
    const { qos, retained, retainedOnly } = this.#options;
    const retainHandling = retained || retainedOnly === true ? 0 : 2;
    const requests = this.#filters.map(
      (filter) => ({ filter, qos, noLocal: false, retainAsPublished: false, retainHandling }) as const,
    );
    let codes: readonly number[];
    try {
      codes = await connection.subscribe(requests);
    } catch (error) {
      if (!(error instanceof MqttFailure)) throw error;
      throw brokerError(this.#broker, error.end);
    }
    const refused = codes.findIndex((code) => code >= 0x80);
    if (refused < 0) return;
    connection.leave(0);
    const code = codes[refused]!;
    // MQTT 3.1.1 has one word for all.
    const notAllowed = code === 0x87 || (code === 0x80 && connection.version === 4);
    const details = { filter: this.#filters[refused], reason: reasonName(code) };
    throw new TidewireError(notAllowed ? "SUBSCRIBE_NOT_ALLOWED" : "SUBSCRIBE_REFUSED", details);
  }

  #received(message: Received): void {
    const { count, retained, retainedOnly } = this.#options;
    this.#lastAt = systemClock.monotonic();
    if (retainedOnly === true ? !message.retain : !retained && message.retain) return; // MQTT 3.1.1 cannot ask for it
    if (count !== undefined && this.#count >= count) return;
    this.#count++;
    if (this.#format === null) this.#sink.addBytes(message.payload);
    else this.#sink.add(this.#format(message, systemClock.now()));
    if (this.#count === count) this.#done.resolve("counted");
  }

  /** Null: what there is to write is little, and whoever reads takes it. */
  #settled(): Promise<void> | null {
    if (this.#sink.isEmpty) return null;
    const waits = this.#sink.flush();
    if (this.#sink.gone) this.#done.resolve("reader-gone");
    return waits;
  }

  async #endWhenQuiet(connection: MqttConnection): Promise<void> {
    try {
      for (let since = -1; since !== this.#lastAt;) {
        since = this.#lastAt;
        await new Promise<void>((resolve) => systemScheduler.after(QUIET, resolve));
        await connection.roundTrip();
      }
      this.#done.resolve("quiet");
    } catch (error) {
      if (!(error instanceof MqttFailure)) throw error; // it goes on with the next connection
    }
  }
}
