/**
 * Services of the platform that answer what clients publish to `$aws/…`. A request is handed over once it is on disk, behind
 * its acknowledgement; an answer goes to the connection that asked and to nobody else, and is in no log: it may hold a key.
 */
import { reasonOf, sharedFilterOf, topicFilterFault, topicMatches } from "../base/mod.ts";
import type { Cancel, Message, MessageProperties, QoS } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { isFull } from "./delivery.ts";
import { frameOf } from "./frame.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Session } from "./session.ts";

export interface Service {
  /** For metrics and the log. */
  readonly name: string;
  /** Filters of the topics by which it is asked, all below `$aws/`. A retained request is refused. */
  readonly requests: readonly string[];
  /** Filters of the topics by which it answers, all below `$aws/`: clients may not publish to them. */
  readonly answers: readonly string[];
  /** Requests hold secrets: clients that subscribe to their topics do not see them. */
  readonly confidential: boolean;
  /** Must return soon; bounds what it has under way. What it throws is logged and counted. */
  handle(request: ServiceRequest): void;
}

export interface ServiceRequest {
  readonly message: Message;
  /** Where the log has it. */
  readonly offset: number;
  readonly requester: Requester;
  /**
   * Answers at QoS 1 where the client has subscribed so, else at QoS 0, subscribed or not. An answer that was not
   * acknowledged ends with the connection. False, and counted, where it cannot be sent.
   */
  reply(topic: string, payload: Uint8Array, properties?: MessageProperties): boolean;
}

export interface Requester {
  readonly clientId: string;
  readonly thing: string | null;
  readonly certificateId: string | null;
  readonly remoteAddress: string;
  /** The same for all requests of one connection, and for no other. */
  readonly sessionIdentifier: string;
  readonly protocolVersion: 4 | 5;
}

/** `Outbox` entries of answers: no message of the log. */
const NOT_IN_LOG = -1;
const PREFIX = "$aws/";

/** A service's place in the tree of filters. */
export interface ServiceSubscription {
  readonly kind: "service";
  readonly filter: string;
  readonly service: Service;
}

interface Waiting {
  readonly service: Service;
  readonly connection: Connection;
  readonly message: Message;
  readonly offset: number;
}

export class Services {
  readonly #core: Core;
  readonly #all = new Set<Service>();
  /** Requests that are not on disk yet, in the order of their offsets; `Backlog` bounds them as all that waits for the disk. */
  #waiting: Waiting[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  add(service: Service): Cancel {
    const { tree, limits } = this.#core;
    for (const filter of [...service.requests, ...service.answers]) {
      const fault = topicFilterFault(filter, limits);
      if (fault !== null || !filter.startsWith(PREFIX)) throw new Error(`not a filter of a service: '${filter}'`);
    }
    const places = service.requests.map((filter): ServiceSubscription => ({ kind: "service", filter, service }));
    for (const place of places) tree.add(place.filter, place);
    this.#all.add(service);
    return () => {
      for (const place of places) tree.remove(place.filter, place);
      this.#all.delete(service);
    };
  }

  /** Only a service publishes there. */
  isAnswer(topic: string): boolean {
    for (const { answers } of this.#all) if (answers.some((filter) => topicMatches(filter, topic))) return true;
    return false;
  }

  isRequest(topic: string): boolean {
    for (const { requests } of this.#all) if (requests.some((filter) => topicMatches(filter, topic))) return true;
    return false;
  }

  ask(service: Service, connection: Connection, message: Message, offset: number): void {
    this.#waiting.push({ service, connection, message, offset });
  }

  /** Hands over what is on disk now. */
  release(durable: number): void {
    if (this.#waiting.length === 0 || this.#waiting[0]!.offset >= durable) return;
    const end = this.#waiting.findIndex(({ offset }) => offset >= durable);
    const ready = end < 0 ? this.#waiting : this.#waiting.slice(0, end);
    this.#waiting = end < 0 ? [] : this.#waiting.slice(end);
    for (const each of ready) this.#handle(each);
  }

  #handle({ service, connection, message, offset }: Waiting): void {
    const core = this.#core;
    const { clientId, thing } = connection.publisher;
    const { certificateId, remoteAddress } = connection.peer;
    const { sessionIdentifier, version: protocolVersion } = connection;
    const requester = { clientId, thing, certificateId, remoteAddress, sessionIdentifier, protocolVersion };
    const reply: ServiceRequest["reply"] = (topic, payload, properties) =>
      answerTo(core, connection, topic, payload, properties ?? null);
    try {
      service.handle({ message, offset, requester, reply });
    } catch (error) {
      const fields = { service: service.name, topic: message.topic, clientId, error: reasonOf(error) };
      core.refusals.drop("handler-failed", "a service failed on a request", fields);
    }
  }
}

function answerTo(
  core: Core,
  connection: Connection,
  topic: string,
  payload: Uint8Array,
  properties: MessageProperties | null,
): boolean {
  const { session } = connection;
  const dropped = (kind: Parameters<typeof core.refusals.drop>[0], why: string): false => {
    core.refusals.drop(kind, `an answer of a service was not delivered: ${why}`, { ...connection.describe(), topic });
    return false;
  };
  if (connection.state !== "connected" || session?.connection !== connection)
    return dropped("requester-gone", "the client that asked is gone");
  if (!connection.authorizer.receive(topic))
    return dropped("receive-forbidden", "the client may not receive its topic; allow iot:Receive");
  const frame = frameOf({ topic, payload, qos: 1, retain: false, properties });
  const { qos, identifiers } = grantOf(session, topic);
  const { outbox } = session;
  if (qos === 0) {
    if (!connection.hasRoom) return dropped("slow-subscriber", "the client does not keep up");
    const sent = connection.send(frame, topic, { qos: 0, retain: false, packetId: 0, identifiers });
    return sent || dropped("too-large", "larger than the client's Maximum Packet Size");
  }
  const behind = outbox.waiting > 0 || outbox.inFlight >= connection.window || !connection.hasRoom;
  if (behind) {
    if (isFull(core, session, frame.end)) return dropped("queue-full", "the session's queue is full");
    const place = core.recent.put(frame, core.clock.now());
    outbox.push(NOT_IN_LOG, frame.end, false, place, identifiers);
  } else {
    const packetId = outbox.packetId(outbox.tail);
    if (!connection.send(frame, topic, { qos: 1, retain: false, packetId, identifiers }))
      return dropped("too-large", "larger than the client's Maximum Packet Size");
    outbox.push(NOT_IN_LOG, frame.end, false, NOWHERE, identifiers);
    outbox.markSent();
  }
  session.hasAnswers = true;
  return true;
}

/** As the client's own subscriptions that match, but never above the QoS 1 of the answer itself. */
function grantOf(session: Session, topic: string): { readonly qos: QoS; readonly identifiers: number[] | null } {
  let qos: QoS = 0;
  let identifiers: number[] | null = null;
  for (const subscription of session.subscriptions.list()) {
    const { filter, identifier } = subscription;
    if (sharedFilterOf(filter) !== null || !topicMatches(filter, topic)) continue;
    if (subscription.qos > 0) qos = 1;
    if (identifier !== 0) (identifiers ??= []).push(identifier);
  }
  return { qos, identifiers };
}

/** The connection is over, and answers that it did not acknowledge are for no other one of the same client identifier. */
export function dropAnswers(session: Session): void {
  if (!session.hasAnswers) return;
  session.hasAnswers = false;
  const { outbox } = session;
  for (let sequence = outbox.head; sequence < outbox.tail; sequence++) {
    if (!outbox.isStored(sequence) && outbox.offset(sequence) === NOT_IN_LOG) outbox.finish(sequence);
  }
}
