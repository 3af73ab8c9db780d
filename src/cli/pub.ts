/** `tidewire pub`: messages to the platform, or to any other broker. It ends when they are acknowledged: on disk. */
import { Command } from "commander";
import { MqttFailure, reasonName } from "../adapters/mqtt-client/mod.ts";
import type { ConnectionEnd, MqttConnection } from "../adapters/mqtt-client/mod.ts";
import { systemClock } from "../adapters/system.ts";
import { TidewireError, encodeUtf8 } from "../base/mod.ts";
import type { ErrorCode, Message, MessageProperties, Millis, QoS } from "../base/mod.ts";
import { PacketError } from "../wire/mqtt/mod.ts";
import { brokerError, connectAgain, connectFirst } from "./broker-link.ts";
import type { LinkOptions } from "./broker-link.ts";
import { BROKER_HELP, brokerOf, bytesOf, withBroker } from "./broker-options.ts";
import type { Broker, BrokerOptions } from "./broker-options.ts";
import { linesOf } from "./json-lines.ts";
import { messageLine } from "./message-line.ts";
import type { MessageDefaults } from "./message-line.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";
import { qosOf } from "./sub.ts";
import { durationOf, durationOption } from "./time-options.ts";

interface Options extends BrokerOptions {
  readonly qos: QoS;
  readonly retain?: boolean;
  readonly file?: string;
  readonly lines?: boolean;
  readonly userProperty: readonly string[];
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlation?: string;
  readonly expiry?: Millis;
  readonly text?: boolean;
  readonly retry: Millis;
  readonly json?: boolean;
}

type Outgoing = Pick<Message, "topic" | "payload" | "qos" | "retain" | "properties">;

/** Lines that are wrong, told one by one. */
const FAULTS_TOLD_MAX = 10;
/** Connections in a row that end before anything was acknowledged: what is published is the reason, not the network. */
const FRUITLESS_MAX = 3;
const EXIT_INCOMPLETE = 1;
const EXIT_INTERRUPTED = 130;

const HELP = `${BROKER_HELP}

PAYLOAD is text; - or nothing reads standard input as one message, --file a file, --lines a message per line. Without a topic,
lines are JSON, as \`tidewire sub\`, \`tidewire rules run\` and \`tidewire log export\` write them: {"topic": …, "payload": …}.

Ends with 0 when all is acknowledged (QoS 1, the default: the platform has it on disk); 4 not allowed, 2 no such topic or too large,
5 no connection, 7 no room.`;

export function pubCommand(output: Output): Command {
  return withBroker(new Command("pub"))
    .description("publish messages; without options, to the platform as its administrator")
    .argument("[topic]", "where to; without it, lines of JSON from standard input say it")
    .argument("[payload]", "text; - for standard input")
    .option("--qos <0|1|2>", "0 at most once, 1 at least once, 2 exactly once", qosOf, 1)
    .option("--retain", "kept for whoever subscribes later, until the next one")
    .option("--file <file>", "the payload is this file, byte for byte")
    .option("--lines", "each line of standard input is a message")
    .option("--user-property <name=value...>", "user properties", [])
    .option("--content-type <type>", "what the payload is, e.g. application/json")
    .option("--response-topic <topic>", "where an answer is waited for")
    .option("--correlation <text>", "comes back with the answer")
    .option("--expiry <duration>", "nobody gets it later than that, e.g. 30s", durationOf)
    .option("--text", "say that the payload is UTF-8 text (payload format indicator)")
    .addOption(durationOption("--retry", "after a lost connection, try again so long", "1m"))
    .option("--json", "print how many were acknowledged, as JSON")
    .addHelpText("after", HELP)
    .action(async (topic: string | undefined, payload: string | undefined, options: Options) => {
      const messages = messagesOf(topic, payload, options, output);
      const broker = await brokerOf(options, "pub");
      process.exitCode = await new Publisher(broker, options, output).run(messages);
    });
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("pub", key, reason);
}

/** One message, or one after the other as lines come; null for a line that is wrong, which is told. */
function messagesOf(
  topic: string | undefined,
  payload: string | undefined,
  options: Options,
  output: Output,
): AsyncIterable<Outgoing | null> {
  const { qos, retain = false, file, lines } = options;
  const defaults: MessageDefaults = { qos, retain, properties: propertiesOf(options) };
  if (file !== undefined && payload !== undefined) throw wrong("--file", "the payload is given as an argument, too");
  if (lines === true && (file !== undefined || (payload !== undefined && payload !== "-")))
    throw wrong("--lines", "the messages are the lines of standard input; there is a payload beside them");
  if (topic === undefined && file !== undefined) throw wrong("topic", "it is missing");
  const given = file === undefined ? payload : undefined;
  const fromInput = file === undefined && (given === undefined || given === "-");
  if (fromInput && process.stdin.isTTY) throw wrong("payload", "it is missing; `tidewire pub --help` has examples");
  if (topic === undefined || lines === true) return messagesOfLines(topic ?? null, defaults, output);
  return (async function* () {
    const body = fromInput ? await whole(process.stdin) : file === undefined ? encodeUtf8(given!) : bytesOf(file);
    yield { ...defaults, topic, payload: body };
  })();
}

async function* messagesOfLines(
  topic: string | null,
  defaults: MessageDefaults,
  output: Output,
): AsyncGenerator<Outgoing | null> {
  let number = 0;
  let faults = 0;
  for await (const line of linesOf(process.stdin)) {
    number++;
    const read = line === null ? null : messageLine(line, topic, systemClock.now(), defaults);
    if (read?.kind === "message") yield read.message;
    else if (read?.kind !== "note") {
      if (++faults <= FAULTS_TOLD_MAX) output.note(`Line ${number} is left out: ${read?.reason ?? "it is too long"}.`);
      yield null;
    }
  }
  if (faults > FAULTS_TOLD_MAX) output.note(`${faults} lines were left out.`);
}

/** What does not fit a packet is refused by whoever writes it, or reads it. */
async function whole(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of input) {
    parts.push(part);
    bytes += part.length;
    if (bytes > PAYLOAD_BYTES_MAX) throw wrong("payload", "no message of MQTT is as large as 256 MiB");
  }
  return Buffer.concat(parts);
}

const PAYLOAD_BYTES_MAX = 268_435_455;

function propertiesOf(options: Options): MessageProperties | null {
  const { userProperty, contentType, responseTopic, correlation, expiry, text, protocol } = options;
  const properties: MessageProperties = {
    ...(text === true ? { payloadFormat: 1 } : {}),
    ...(expiry === undefined ? {} : { messageExpirySeconds: Math.ceil(expiry / 1000) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlation === undefined ? {} : { correlationData: encodeUtf8(correlation) }),
    ...(userProperty.length === 0 ? {} : { userProperties: userProperty.map(pairOf) }),
  };
  if (Object.keys(properties).length === 0) return null;
  if (protocol !== "5") throw wrong("--protocol", "MQTT 3.1.1 has no properties");
  return properties;
}

function pairOf(text: string): readonly [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw wrong("--user-property", `'${text}' is not name=value`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

class Publisher {
  readonly #broker: Broker;
  readonly #options: Options;
  readonly #output: Output;
  readonly #link: LinkOptions;
  readonly #stop = stopSignal();
  #connection: MqttConnection | null = null;
  /** Sent and not acknowledged: no more than the connection lets out at once. To be sent again by the next one. */
  readonly #open = new Set<Outgoing>();
  /** Of QoS 0, since the broker last said that it has read all. */
  #unproved = 0;
  #last: Outgoing | null = null;
  #acknowledged = 0;
  #fruitless = 0;
  #refused: TidewireError | null = null;
  #faults = 0;
  #end: ConnectionEnd | null = null;
  #idle = Promise.withResolvers<void>();

  constructor(broker: Broker, options: Options, output: Output) {
    this.#broker = broker;
    this.#options = options;
    this.#output = output;
    this.#link = {
      sessionSeconds: 0,
      received: () => {},
      settled: () => null,
      ended: (end) => {
        this.#end = end;
        this.#idle.resolve();
      },
    };
  }

  /** Returns the exit status. Throws the first refusal, when the others are through. */
  async run(messages: AsyncIterable<Outgoing | null>): Promise<number> {
    this.#connection = await connectFirst(this.#broker, this.#link);
    const interrupted = this.#stop.then(() => "interrupted" as const);
    const all = this.#all(messages);
    all.catch(() => {}); // where the interruption comes first
    const how = await Promise.race([all, interrupted]);
    this.#connection?.leave();
    if (how === "interrupted") {
      process.stdin.destroy(); // it would hold the process
      return EXIT_INTERRUPTED;
    }
    if (this.#options.json === true) {
      this.#output.result(JSON.stringify({ acknowledged: this.#acknowledged, faults: this.#faults }));
    }
    if (this.#refused !== null) throw this.#refused;
    return this.#faults > 0 ? EXIT_INCOMPLETE : 0;
  }

  async #all(messages: AsyncIterable<Outgoing | null>): Promise<void> {
    for await (const message of messages) {
      if (message === null) this.#faults++;
      else await this.#send(message);
    }
    while (!(await this.#isThrough())) await this.#reconnect();
  }

  /** All is acknowledged, and what has no acknowledgement was read. */
  async #isThrough(): Promise<boolean> {
    try {
      while (this.#open.size > 0 && this.#end === null) {
        this.#idle = Promise.withResolvers();
        await this.#idle.promise;
      }
      if (this.#end !== null) return false;
      await this.#connection!.roundTrip();
      this.#unproved = 0;
      return this.#open.size === 0;
    } catch (error) {
      if (error instanceof MqttFailure) return false;
      throw error;
    }
  }

  async #send(message: Outgoing): Promise<void> {
    const invalid = this.#connection!.objectionTo(message);
    if (invalid !== null) return this.#refuse(message, invalid, null);
    this.#last = message;
    if (message.qos === 0) this.#unproved++;
    else this.#open.add(message);
    try {
      await this.#connection!.publish(message, (code, said) => this.#answered(message, code, said));
    } catch (error) {
      if (error instanceof PacketError) {
        this.#open.delete(message);
        return this.#refuse(message, error.reasonCode, error.detail);
      }
      if (!(error instanceof MqttFailure)) throw error;
      await this.#reconnect();
    }
  }

  #answered(message: Outgoing, code: number, said: string | null): void {
    if (this.#open.delete(message)) this.#fruitless = 0;
    if (code >= 0x80) this.#refuse(message, code, said);
    else this.#acknowledged++;
    if (this.#open.size === 0) this.#idle.resolve();
  }

  #refuse({ topic }: Outgoing, code: number, said: string | null): void {
    const reason = said === null || said === "" ? reasonName(code) : `${reasonName(code)}: ${said.replace(/\.$/, "")}`;
    this.#refused ??= new TidewireError(REFUSED.get(code) ?? "PUBLISH_REFUSED", { topic, reason });
  }

  /** A new connection, with all that the last one did not get acknowledged. */
  async #reconnect(): Promise<void> {
    const { retry } = this.#options;
    const end = this.#end ?? { kind: "left" };
    this.#end = null;
    // A broker that does not allow a message of QoS 0, or any of MQTT 3.1.1, has no other word for it than this.
    if (end.kind === "dismissed" && REFUSED.has(end.code)) throw this.#culprit(end.code, end.said);
    if (++this.#fruitless >= FRUITLESS_MAX) throw this.#culprit(null, null);
    if (this.#unproved > 0) {
      if (this.#options.lines !== true) throw brokerError(this.#broker, end);
      this.#output.note("Messages of QoS 0 that were on their way are lost, perhaps.");
      this.#faults++;
      this.#unproved = 0;
    }
    const how = { patience: retry, stop: this.#stop, output: this.#output };
    this.#connection = await connectAgain(this.#broker, this.#link, end, how);
    if (this.#connection === null) return await new Promise(() => {}); // interrupted: `run` has ended
    const again = [...this.#open];
    this.#open.clear();
    for (const message of again) await this.#send(message);
  }

  #culprit(code: number | null, said: string | null): TidewireError {
    const [first = this.#last] = this.#open;
    const topic = first?.topic ?? "";
    const reason =
      code === null
        ? "the broker ends the connection each time it gets it, as it does by MQTT 3.1.1 with what is not allowed"
        : `${reasonName(code)}${said === null ? "" : `: ${said}`}`;
    return new TidewireError(code === null ? "PUBLISH_NOT_ALLOWED" : REFUSED.get(code)!, { topic, reason });
  }
}

const REFUSED: ReadonlyMap<number, ErrorCode> = new Map([
  [0x87, "PUBLISH_NOT_ALLOWED"],
  [0x90, "PUBLISH_INVALID"],
  [0x95, "PUBLISH_INVALID"],
  [0x97, "PUBLISH_NO_ROOM"],
  [0x99, "PUBLISH_INVALID"],
  [0x9a, "PUBLISH_INVALID"],
  [0x9b, "PUBLISH_INVALID"],
]);
