/**
 * One shared subscription (MQTT 5.0 section 4.8.2): a share name and a filter, and the sessions that hold it together. Each
 * message goes to one of them: to one that is connected and has least to do, in turn where several have; while all are away,
 * to the queue of a session that is kept.
 */
import type { QoS } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { isFull } from "./delivery.ts";
import { isSameMark, markFrom } from "./outbox.ts";
import type { Authorizer } from "./ports.ts";
import { Target } from "./routes.ts";
import type { Route } from "./routes.ts";
import type { Session, Subscription } from "./session.ts";

/** Members compared for one message, once one is found that has room. */
const COMPARED = 16;
/** Members looked at for one message: none of a large group may have room, or be allowed to receive the topic. */
const LOOKED_AT = 256;
/** Load that stands for "has no room": anybody who has some is better. */
const CROWDED = 1e12;
/** Topics whose verdict one member keeps: it shares those of a fleet with others. */
const VERDICTS_KEPT = 256;

interface Member {
  readonly target: Target;
  readonly subscription: Subscription;
  at: number;
  /** Whether it may receive a topic, as `verdictsOf` said at their revision. */
  readonly verdicts: Map<Route, boolean>;
  verdictsOf: Authorizer | null;
  verdictsRevision: number;
}

/** What a group needs to know of the message it is to give to somebody. */
export interface Offered {
  readonly qos: QoS;
  readonly bytes: number;
  /** The journal's offset, where the message is replayed: whoever joined later was never owed it. */
  readonly replayed: number | null;
}

export class SharedGroup {
  readonly kind = "group";
  /** As clients write it: `$share/<name>/<filter>`. */
  readonly written: string;
  /**
   * Stands in the outbox beside each message that came this way, and survives a restart with it: where the session ends,
   * the message's topic and this lead back to the group. Two groups of one topic have the same with odds of one to two million.
   */
  readonly mark: number;
  /** Those that were connected when last looked at, then the others. */
  readonly #members: Member[] = [];
  #present = 0;
  #nextPresent = 0;
  #nextAbsent = 0;
  readonly #bySession = new Map<Session, Member>();

  constructor(written: string) {
    this.written = written;
    let hash = 0;
    for (let i = 0; i < written.length; i++) hash = Math.imul(hash ^ written.charCodeAt(i), 0x01000193) >>> 0;
    this.mark = markFrom(hash);
  }

  get size(): number {
    return this.#members.length;
  }

  /** Somebody is connected, or was when last looked at. */
  get hasPresent(): boolean {
    return this.#present > 0;
  }

  add(subscription: Subscription): void {
    const { session } = subscription;
    const member: Member = {
      target: new Target(subscription, this.mark),
      subscription,
      at: this.#members.length,
      verdicts: new Map(),
      verdictsOf: null,
      verdictsRevision: 0,
    };
    this.#bySession.set(session, member);
    this.#members.push(member);
    if (session.connection !== null) this.connected(session);
  }

  remove(subscription: Subscription): void {
    const member = this.#bySession.get(subscription.session);
    if (member?.subscription !== subscription) return;
    this.#bySession.delete(subscription.session);
    this.#noteAbsent(member);
    this.#swap(member.at, this.#members.length - 1);
    this.#members.pop();
  }

  /** Whether an entry with this mark came by it. */
  hasMark(mark: number): boolean {
    return isSameMark(this.mark, mark);
  }

  /** Null where the session is no member. */
  targetOf(session: Session): Target | null {
    return this.#bySession.get(session)?.target ?? null;
  }

  /** The member is there. That it has gone is noticed when it is looked at. */
  connected(session: Session): void {
    const member = this.#bySession.get(session);
    if (member === undefined || member.at < this.#present) return;
    this.#swap(member.at, this.#present);
    this.#present++;
  }

  /** HOT. Who gets the message; null where nobody may or can take it. Without a route, at a start, nobody is connected. */
  choose(core: Core, route: Route | null, offered: Offered): Target | null {
    const here = route === null ? null : this.#choosePresent(core, route, offered);
    if (here !== null || offered.qos === 0) return here;
    return this.#chooseAbsent(core, offered);
  }

  #choosePresent(core: Core, route: Route, offered: Offered): Target | null {
    let best: Target | null = null;
    let bestLoad = Infinity;
    let at = this.#nextPresent;
    let next = at;
    for (let looks = Math.min(this.#present, LOOKED_AT), compared = 0; looks > 0 && compared < COMPARED; looks--) {
      if (at >= this.#present) at = 0;
      const member = this.#members[at];
      if (member === undefined) break;
      const { target } = member;
      const { connection } = target.session;
      if (connection === null) {
        this.#noteAbsent(member); // the last who is present takes its place
        continue;
      }
      at++;
      const load = loadOf(core, target, offered);
      if (load < CROWDED) compared++;
      if (load >= bestLoad || !mayReceive(member, connection.authorizer, route)) continue;
      best = target;
      bestLoad = load;
      next = at;
      if (load === 0) break;
    }
    this.#nextPresent = next;
    return best;
  }

  /** Of a few in turn, the one whose queue is shortest. */
  #chooseAbsent(core: Core, { bytes, replayed }: Offered): Target | null {
    let best: Target | null = null;
    let bestLoad = Infinity;
    const absent = this.#members.length - this.#present;
    let at = this.#nextAbsent;
    for (let looks = Math.min(absent, LOOKED_AT), compared = 0; looks > 0 && compared < COMPARED; looks--, at++) {
      const { target } = this.#members[this.#present + (at % absent)]!;
      const { session } = target;
      if (session.connection !== null || target.qos === 0 || !session.persistent) continue;
      if (replayed !== null && replayed < target.since) continue;
      const full = isFull(core, session, bytes);
      if (!full) compared++;
      const load = full ? CROWDED : session.outbox.size;
      if (load >= bestLoad) continue;
      best = target;
      bestLoad = load;
      this.#nextAbsent = (at + 1) % absent;
    }
    return best;
  }

  #noteAbsent(member: Member): void {
    if (member.at >= this.#present) return;
    this.#present--;
    this.#swap(member.at, this.#present);
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#members[a]!, this.#members[b]!];
    this.#members[a] = second;
    this.#members[b] = first;
    second.at = a;
    first.at = b;
  }
}

function mayReceive(member: Member, authorizer: Authorizer, route: Route): boolean {
  const { verdicts } = member;
  if (member.verdictsOf !== authorizer || member.verdictsRevision !== authorizer.revision) {
    verdicts.clear();
    member.verdictsOf = authorizer;
    member.verdictsRevision = authorizer.revision;
  }
  const known = verdicts.get(route);
  if (known !== undefined) return known;
  const may = authorizer.receive(route.topic);
  if (verdicts.size >= VERDICTS_KEPT) verdicts.clear();
  verdicts.set(route, may);
  return may;
}

/** Messages owed and KiB not yet taken; `Infinity` for a member that could only drop the message. */
function loadOf(core: Core, target: Target, { qos, bytes }: Offered): number {
  const { session } = target;
  const { outbox } = session;
  const connection = session.connection!;
  const { outputBytes } = connection;
  const load = outbox.size + (outputBytes >>> 10);
  if (bytes > connection.maximumPacketSize) return Infinity;
  if (qos === 0 || target.qos === 0) {
    if (outputBytes >= core.outputBytesMax) return Infinity;
    return outputBytes > core.crowdedBytes ? CROWDED + load : load;
  }
  const behind = outbox.waiting > 0 || outbox.inFlight >= connection.window || outputBytes > core.crowdedBytes;
  if (!behind) return load;
  return isFull(core, session, bytes) ? Infinity : CROWDED + load;
}
