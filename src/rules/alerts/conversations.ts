/**
 * Which message stands for a group in which channel, so that it can be edited. Known when the message was sent, kept as a
 * row of its own: the group may be over before its last message has gone.
 */
import { reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import type { Alert } from "./model.ts";
import type { Notification } from "./notification.ts";
import type { AlertRow, DirtyRows } from "./store.ts";

/** What of a notification stands beside its text in the saved delivery. */
export interface Place {
  /** Null: in its channel nothing is edited. */
  readonly conversation: string | null;
  readonly form: Notification["form"];
  /** Id of the delivery that this one repeats aloud: where that was a new message, this one is not needed. */
  readonly aloud: string | null;
  readonly isLast: boolean;
  /** Whom it speaks of, so that it can be forgotten. */
  readonly thing: string | null;
  /** Alert whose picture it carries. */
  readonly picture: string | null;
}

export interface Conversation {
  /** Null: it was sent, and the channel did not say what it is called. */
  readonly reference: string | null;
  /** Delivery that began it. */
  readonly begunBy: string;
  readonly thing: string | null;
}

/** As it moves from one platform to another. */
export interface MovedConversation {
  readonly contact: string;
  readonly group: string;
  readonly conversation: Conversation;
}

/** A conversation is closed with its last message; those whose last one was never delivered are bounded by this. */
const CONVERSATIONS_MAX = 10_000;

export class Conversations {
  /** The oldest first. */
  readonly #all = new Map<string, Conversation>();
  readonly #rows: DirtyRows;
  readonly #logger: Logger;

  constructor(rows: DirtyRows, logger: Logger) {
    this.#rows = rows;
    this.#logger = logger;
  }

  get count(): number {
    return this.#all.size;
  }

  reference(name: string): string | null {
    return this.#all.get(name)?.reference ?? null;
  }

  /** Whether the message that stands now is the one of this delivery. */
  isBegunBy(name: string, delivery: string): boolean {
    return this.#all.get(name)?.begunBy === delivery;
  }

  /** Of groups, in all channels. */
  of(groups: ReadonlySet<string>): MovedConversation[] {
    const found: MovedConversation[] = [];
    for (const [name, conversation] of this.#all) {
      const blank = name.indexOf(" ");
      const group = name.slice(blank + 1);
      if (groups.has(group)) found.push({ contact: name.slice(0, blank), group, conversation });
    }
    return found;
  }

  /** They go on here; where there is one of that name, it stays. */
  enter(conversations: readonly MovedConversation[]): void {
    for (const { contact, group, conversation } of conversations) {
      const name = nameOf(contact, group);
      if (!this.#all.has(name)) this.begin(name, conversation);
    }
  }

  /** They go on elsewhere. */
  leave(groups: ReadonlySet<string>): void {
    for (const { contact, group } of this.of(groups)) this.close(nameOf(contact, group));
  }

  /** A new message was sent. */
  begin(name: string, conversation: Conversation): void {
    this.#all.delete(name);
    this.#all.set(name, conversation);
    this.#rows.put({ kind: "message", id: name, thing: conversation.thing, document: JSON.stringify(conversation) });
    for (const oldest of this.#all.keys()) {
      if (this.#all.size <= CONVERSATIONS_MAX) break;
      this.close(oldest);
    }
  }

  close(name: string): void {
    if (!this.#all.delete(name)) return;
    this.#rows.put({ kind: "message", id: name, thing: null, document: null });
  }

  forget(thing: string): void {
    for (const [name, conversation] of this.#all) if (conversation.thing === thing) this.#all.delete(name);
  }

  restore(rows: readonly AlertRow[]): void {
    for (const { kind, id, document } of rows) {
      if (kind !== "message" || document === null) continue;
      try {
        this.#all.set(id, JSON.parse(document) as Conversation);
      } catch (error) {
        this.#logger.error("A saved message's name cannot be read; it will not be edited", { reason: reasonOf(error) });
      }
    }
  }
}

/** Contact points have no blanks in their names. */
function nameOf(contact: string, group: string): string {
  return `${contact} ${group}`;
}

/** `edited`: in its channel, messages are edited, and replies stand below them. */
export function placeOf(notification: Notification, edited: boolean): Place {
  const { id, contact, form, group, device, isLast } = notification;
  return {
    conversation: edited && notification.kind !== "digest" ? nameOf(contact, group.id) : null,
    form,
    aloud: form === "reply" ? id.slice(0, -REPLY_SUFFIX.length) : null,
    isLast,
    thing: device,
    picture: form === "reply" ? null : (picturedAlert(notification)?.id ?? null),
  };
}

/** Where all are of one thing, the worst of them is shown; a chart of one among many says nothing. */
export function picturedAlert({ device, alerts }: Notification): Alert | null {
  return device === null ? null : (alerts[0] ?? null);
}

export const REPLY_SUFFIX = ".reply";

/** As fields of a delivery. */
export function fieldsOf({ conversation, form, aloud, isLast, thing, picture }: Place): Record<string, string> {
  return {
    ...(conversation === null ? {} : { conversation, form, ...(isLast ? { last: "yes" } : {}) }),
    ...(conversation === null || aloud === null ? {} : { aloud }),
    ...(conversation === null || thing === null ? {} : { thing }),
    ...(picture === null ? {} : { picture }),
  };
}

/** Null: it is no notification, or one that needs nothing but its text. */
export function placeIn(fields: Readonly<Record<string, string>>): Place | null {
  const { conversation = null, form, aloud = null, last, thing = null, picture = null } = fields;
  if (conversation === null && picture === null) return null;
  const known = form === "edit" || form === "reply" ? form : "message";
  return { conversation, form: known, aloud, isLast: last === "yes", thing, picture };
}
