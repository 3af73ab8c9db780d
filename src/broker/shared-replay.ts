/**
 * Messages at QoS 2 of shared subscriptions, while the journal is replayed: a note that follows says which member was to have
 * the message, and it must go to no other [MQTT-4.8.2-4], [MQTT-4.8.2-5]. What no note names had not begun to leave.
 */
import type { Message } from "../base/mod.ts";
import type { Session } from "./session.ts";
import type { SharedGroup } from "./shared-group.ts";

/** Messages that wait for their note at once; a start after a crash replays about a second. Beyond, the oldest are settled. */
const OPEN_MAX = 100_000;

export interface OpenMessage {
  readonly group: SharedGroup;
  readonly offset: number;
  readonly message: Pick<Message, "topic" | "qos" | "retain" | "receivedAt">;
  readonly bytes: number;
}

export class SharedReplay {
  readonly #open = new Map<number, OpenMessage[]>();

  /** Returns the oldest ones where there are too many. */
  add(open: OpenMessage): readonly OpenMessage[] {
    const others = this.#open.get(open.offset);
    if (others !== undefined) others.push(open);
    else this.#open.set(open.offset, [open]);
    if (this.#open.size <= OPEN_MAX) return [];
    for (const [offset, oldest] of this.#open) {
      this.#open.delete(offset);
      return oldest;
    }
    return [];
  }

  /** A note says that a member had the message at `offset`, by the group of this mark: nobody else is owed it now. */
  noted(offset: number, mark: number): OpenMessage | null {
    return this.#take(offset, ({ group }) => group.hasMark(mark));
  }

  /** The same, where a note of an earlier Tidewire does not say by which group, or whether by any. Null: a session that was not kept. */
  guessed(offset: number, session: Session | null): OpenMessage | null {
    return this.#take(offset, ({ group }) => session === null || wasMember(group, session, offset));
  }

  #take(offset: number, isIt: (open: OpenMessage) => boolean): OpenMessage | null {
    const open = this.#open.get(offset);
    const at = open?.findIndex(isIt) ?? -1;
    if (open === undefined || at < 0) return null;
    const [taken] = open.splice(at, 1);
    if (open.length === 0) this.#open.delete(offset);
    return taken!;
  }

  rest(): OpenMessage[] {
    return [...this.#open.values()].flat();
  }
}

/** Who joined later had it by another group, or by a subscription of its own. */
function wasMember(group: SharedGroup, session: Session, offset: number): boolean {
  const target = group.targetOf(session);
  return target !== null && target.since <= offset;
}
