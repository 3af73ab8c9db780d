/**
 * A broker that is wrong in one way each, made by serving its ports wrongly: what the simulation has to notice, and what
 * it has to say of it. `broker-story.test.ts` plays seeds until it does.
 */
import type { BrokerConnection, Journal, Progress, SessionChange, Transport } from "../src/broker/mod.ts";
import { PacketWriter, connectPacket } from "../src/wire/mqtt/mod.ts";
import { altered } from "./altered.ts";
import type { Sabotage } from "./broker-process.ts";

interface Mutation {
  readonly noticed: RegExp;
  /** For one story. */
  readonly sabotage: () => Sabotage;
}

/** A message twice, another one under its identifier, or one that was taken for a repetition. */
const QOS_2_BROKEN = /twice at QoS 2|for another message than|acknowledged before it was durable|in the log twice/;

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "PUBACK leaves before the sync": {
    noticed: /was acknowledged before it was durable/,
    sabotage: () => ({ journal: (journal, log) => hasty(journal, () => log.next) }),
  },
  "PUBACK leaves one record too early": {
    noticed: /was acknowledged before it was durable/,
    sabotage: () => ({ journal: (journal, log) => hasty(journal, () => Math.min(log.next, log.durable + 1)) }),
  },
  "PUBCOMP leaves before its note": { noticed: QOS_2_BROKEN, sabotage: () => ({ journal: hastyNotes }) },
  "notes of QoS 2 are not written": {
    noticed: QOS_2_BROKEN,
    sabotage: () => ({ journal: (journal) => altered(journal, { appendNote: () => journal.durable - 1 }) }),
  },
  "the log does not keep identifiers of QoS 2": {
    noticed: /came at QoS 2 and is in the log twice/,
    sabotage: () => ({
      journal: (journal) =>
        altered(journal, {
          append: (topic, view, publisher, at) => journal.append(topic, view, publisher, at, false),
        }),
    }),
  },
  "SUBACK and CONNACK leave before the session is saved": {
    noticed: /(SUBACK left for|CONNACK left before)/,
    sabotage: () => ({
      state: (state) =>
        altered(state, {
          saveSessions: (changes) => {
            void state.saveSessions(changes);
            return Promise.resolve();
          },
        }),
    }),
  },
  "subscriptions are not saved": {
    noticed: /SUBACK left for .* on disk it is undefined/,
    sabotage: () => savingSessions((change) => ({ ...change, subscriptions: [] })),
  },
  "the end of a subscription is not saved": {
    noticed: /UNSUBACK left for .* on disk it is still there/,
    sabotage: () =>
      savingSessions((change) => ({
        ...change,
        subscriptions: change.subscriptions.filter(([, subscription]) => subscription !== null),
      })),
  },
  "queues are not saved": {
    // Or the place of a lost entry has come to mean another message.
    noticed: /stuck: .* owed: |has no such subscription|twice at QoS 2/,
    sabotage: () =>
      savingProgress((progress) => ({
        ...progress,
        outboxes: progress.outboxes.map((outbox) => ({ ...outbox, chunks: [] })),
      })),
  },
  "retained messages are not saved": {
    noticed: /is retained as|is not what was retained last/,
    sabotage: () => ({
      state: (state) =>
        altered(state, {
          retained: altered(state.retained, { save: (_changes, room) => Promise.resolve({ ...room, refused: [] }) }),
        }),
    }),
  },
  "a start does not replay the log's last record": {
    noticed: /stuck: .* owed: |is retained as|in the log twice|twice at QoS 2/,
    sabotage: () => ({
      journal: (journal) =>
        altered(journal, {
          async *replay(from) {
            for await (const entry of journal.replay(from)) if (entry.offset < journal.durable - 1) yield entry;
          },
        }),
    }),
  },
  "one delivery in fifty is lost and counts as acknowledged": { noticed: /stuck: .* owed: /, sabotage: losing },
  "two neighbouring deliveries change places": {
    noticed: /it came behind number/,
    sabotage: () =>
      rewriting((frames) => {
        const at = frames.findIndex((frame, i) => isLive(frame) && isLive(frames[i + 1]));
        return at < 0 ? frames : [...frames.slice(0, at), frames[at + 1]!, frames[at]!, ...frames.slice(at + 2)];
      }),
  },
  "a delivery at QoS 0 is sent twice": {
    noticed: /was delivered more often than it was accepted, at QoS 0/,
    sabotage: () => rewriting((frames) => frames.flatMap((frame) => (isAtMostOnce(frame) ? [frame, frame] : [frame]))),
  },
  "what one client is sent reaches another one as well": {
    noticed:
      /that had not subscribed|has no such subscription|that the client does not have|identifies no subscription that|more often than it was accepted/,
    sabotage: gossiping,
  },
  "a connection that is lost is not noticed": {
    noticed: /was lost, and it was not published/,
    sabotage: () => ({ connection: (accept, transport) => altered(accept(transport), { closed: () => {} }) }),
  },
  "one connection is never let go": { noticed: /everybody has left, and the broker still holds/, sabotage: haunted },
};

/** Says of a record that it is durable before the log does. */
function hasty(journal: Journal, durable: () => number): Journal {
  return altered(journal, {
    get durable() {
      return durable();
    },
  });
}

/** Says so of notes alone. */
function hastyNotes(journal: Journal): Journal {
  const notes = new Set<number>();
  return altered(journal, {
    appendNote: (note) => {
      const offset = journal.appendNote(note);
      notes.add(offset);
      return offset;
    },
    get durable() {
      let durable = journal.durable;
      while (notes.has(durable)) durable++;
      return durable;
    },
  });
}

function savingSessions(change: (change: SessionChange) => SessionChange): Sabotage {
  return {
    state: (state) => altered(state, { saveSessions: (changes) => state.saveSessions(changes.map(change)) }),
  };
}

function savingProgress(change: (progress: Progress) => Progress): Sabotage {
  return { state: (state) => altered(state, { saveProgress: (progress) => state.saveProgress(change(progress)) }) };
}

/** One packet. */
interface Frame {
  readonly bytes: Uint8Array;
  readonly type: number;
  readonly qos: number;
  readonly packetId: number;
}

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK_FIRST_BYTE = 0x40;

/** A PUBLISH that was not sent before and is not retained. */
function isLive(frame: Frame | undefined): boolean {
  return frame !== undefined && frame.type === PUBLISH && (frame.bytes[0]! & 0b1001) === 0;
}

function isAtMostOnce(frame: Frame): boolean {
  return isLive(frame) && frame.qos === 0;
}

/** A transport that changes the packets that pass; they come in whole ones. */
function rewriting(rewrite: (frames: readonly Frame[]) => readonly Frame[]): Sabotage {
  return { connection: (accept, transport) => rewritten(accept, transport, rewrite) };
}

function rewritten(
  accept: (transport: Transport) => BrokerConnection,
  transport: Transport,
  rewrite: (frames: readonly Frame[]) => readonly Frame[],
): BrokerConnection {
  let given: Uint8Array = new Uint8Array();
  const write = (bytes: Uint8Array): void => {
    given = bytes;
    transport.write(joined(rewrite(framesOf(bytes))));
  };
  const connection = accept(altered(transport, { write }));
  return altered(connection, { written: () => connection.written(given) });
}

function joined(frames: readonly Frame[]): Uint8Array {
  const all = new Uint8Array(frames.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let at = 0;
  for (const { bytes } of frames) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}

function losing(): Sabotage {
  return {
    connection: (accept, transport) => {
      let count = 0;
      const lost: number[] = [];
      const connection = rewritten(accept, transport, (frames) =>
        frames.filter((frame) => {
          if (frame.type !== PUBLISH || frame.qos !== 1 || ++count % 50 !== 0) return true;
          lost.push(frame.packetId);
          return false;
        }),
      );
      return altered(connection, {
        written: (bytes) => {
          connection.written(bytes);
          for (const id of lost.splice(0)) connection.receive(Uint8Array.of(PUBACK_FIRST_BYTE, 2, id >> 8, id));
        },
      });
    },
  };
}

function gossiping(): Sabotage {
  const heard: { readonly by: string; readonly frame: Frame }[] = [];
  return {
    connection: (accept, transport, { name }) => {
      let version: 4 | 5 = 5;
      return rewritten(accept, transport, (frames) => {
        if (frames[0]?.type === CONNACK) version = frames[0].bytes[1] === 2 ? 4 : 5;
        const others = heard.filter(({ by }) => by !== name);
        if (version === 4) return frames;
        for (const frame of frames) if (isAtMostOnce(frame)) heard.splice(0, 5, { by: name, frame });
        return isLive(frames[0]) ? [...frames, ...others.map(({ frame }) => frame)] : frames;
      });
    },
  };
}

/** Beside each client somebody else connects, who is never heard of again. */
function haunted(): Sabotage {
  const ignore = (): void => {};
  return {
    connection: (accept, transport) => {
      const writer = new PacketWriter(5);
      writer.connect(connectPacket({ version: 5, clientId: "ghost", keepAliveSeconds: 3_600 }));
      const ghost = accept({
        remoteAddress: "",
        write: (bytes) => queueMicrotask(() => ghost.written(bytes)),
        end: ignore,
        destroy: ignore,
        pause: ignore,
        resume: ignore,
      });
      ghost.receive(writer.take());
      return accept(transport);
    },
  };
}

function framesOf(bytes: Uint8Array): readonly Frame[] {
  const frames: Frame[] = [];
  for (let start = 0; start < bytes.length;) {
    let at = start + 1;
    let remaining = 0;
    for (let shift = 0, byte = 0x80; byte >= 0x80; shift += 7) {
      byte = bytes[at++]!;
      remaining |= (byte & 0x7f) << shift;
    }
    const topicEnd = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
    const packetId = (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
    const first = bytes[start]!;
    frames.push({ bytes: bytes.slice(start, at + remaining), type: first >> 4, qos: (first >> 1) & 3, packetId });
    start = at + remaining;
  }
  return frames;
}
