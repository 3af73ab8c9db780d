/**
 * Alerts of a rule that moves to another platform: what is pending, active or remembered of its keys, whose silence it would
 * notice, and what was told of them, so that there nobody is told a second time. What is over stays here as history; how people
 * are told is a matter of each platform.
 */
import { TidewireError } from "../../base/mod.ts";
import type { Clock, JsonValue } from "../../base/mod.ts";
import type { Absences, MovedWatch } from "./absence.ts";
import type { AlertBook } from "./book.ts";
import type { Conversations, MovedConversation } from "./conversations.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Life } from "./life-cycle.ts";
import type { Alert, AlertRecord, Transition } from "./model.ts";
import type { KnownGroup } from "./replan.ts";
import { isAtWork } from "./tracks.ts";
import type { MovedTrack, Track } from "./tracks.ts";

/** As plain JSON. */
export type MovedAlert =
  | {
      readonly kind: "key";
      readonly key: string;
      readonly thing: string;
      readonly life: Life;
      /** Null: nothing is wrong, but something is remembered. */
      readonly alert: Alert | null;
      readonly history: readonly Transition[];
      /** Groups that have told somebody of it. */
      readonly told: readonly string[];
    }
  | ({ readonly kind: "watch" } & MovedWatch)
  | {
      readonly kind: "group";
      readonly id: string;
      readonly contacts: readonly string[];
      readonly labels: Readonly<Record<string, string>>;
      readonly seq: number;
      readonly isTouched: boolean;
      /** As it is saved. */
      readonly document: string;
    }
  | ({ readonly kind: "message" } & MovedConversation);

type Moved<K extends MovedAlert["kind"]> = Extract<MovedAlert, { readonly kind: K }>;

export interface MovingAlertsOptions {
  readonly clock: Clock;
  readonly book: AlertBook;
  readonly absences: Absences;
  readonly dispatcher: Dispatcher;
  readonly conversations: Conversations;
}

export class MovingAlerts {
  readonly #o: MovingAlertsOptions;

  constructor(options: MovingAlertsOptions) {
    this.#o = options;
  }

  /** All that goes along with the rule. */
  of(rule: string): MovedAlert[] {
    const { book, absences, dispatcher, conversations } = this.#o;
    const tracks = book.tracksOf(rule);
    const records = tracks.flatMap((track) => (isActive(track) ? [track.record!] : []));
    const groups = [...dispatcher.groupsWith(records)].map((group): MovedAlert => {
      const { id, labels, seq, route } = group;
      const isTouched = dispatcher.isTouched(group);
      return { kind: "group", id, contacts: route.contacts, labels, seq, isTouched, document: group.row().document! };
    });
    const messages = conversations.of(this.#ownGroups(records));
    return [
      ...tracks.flatMap(movedTrack),
      ...absences.of(rule).map(({ heard, silent }): MovedAlert => ({ kind: "watch", heard, silent })),
      ...groups,
      ...messages.map(({ contact, group, conversation }): MovedAlert => {
        return { kind: "message", contact, group, conversation };
      }),
    ];
  }

  /** All that `of` gives is not here any more. Nobody is told. */
  leave(rule: string): void {
    const { book, absences, dispatcher, conversations } = this.#o;
    const records = book.tracksOf(rule).flatMap((track) => (isActive(track) ? [track.record!] : []));
    conversations.leave(this.#ownGroups(records));
    book.leave(rule);
    dispatcher.leave(records);
    absences.forgetRule(rule);
  }

  /** The rule has come with them, and sees messages from `from` on. Throws ALERT_INVALID where there are too many already. */
  enter(rule: string, moved: readonly MovedAlert[], from: number): void {
    const { clock, book, absences, dispatcher, conversations } = this.#o;
    const lastOffset = from - 1;
    const tracks = only(moved, "key").map((one): MovedTrack => {
      const { key, thing, life, alert, history, told } = one;
      const record: AlertRecord | null = alert === null ? null : { alert, history, told: new Set(told) };
      return { rule, key, thing, life, record, lastOffset };
    });
    book.enter(tracks);
    absences.enter(
      only(moved, "watch").map(({ heard, silent }) => ({ heard: { ...heard, rule, offset: lastOffset }, silent })),
    );
    const records = tracks.flatMap(({ record }) => (record?.alert.state === "active" ? [record] : []));
    const groups = dispatcher.enter(records, knownGroups(only(moved, "group"), records), clock.now());
    const messages = only(moved, "message");
    for (const [group, { id }] of groups) {
      const told = messages.filter((message) => message.group === id);
      conversations.enter(told.map(({ contact, conversation }) => ({ contact, group, conversation })));
    }
  }

  /** Groups of nothing but these: what was told of them is about nobody else. */
  #ownGroups(records: readonly AlertRecord[]): ReadonlySet<string> {
    const own = new Set(records);
    const groups = [...this.#o.dispatcher.groupsWith(records)];
    return new Set(groups.filter(({ members }) => [...members].every((one) => own.has(one))).map(({ id }) => id));
  }
}

/** What of moved alerts is not about the thing. */
export function withoutThing(moved: readonly MovedAlert[], thing: string): MovedAlert[] {
  return moved.filter((one) => {
    switch (one.kind) {
      case "key":
        return one.thing !== thing;
      case "watch":
        return one.heard.thing !== thing;
      case "group":
        return one.labels["thing"] !== thing;
      case "message":
        return one.conversation.thing !== thing;
    }
  });
}

/** Throws RULE_STATE_UNREADABLE. */
export function movedAlertOf(value: JsonValue): MovedAlert {
  const one = value as unknown as MovedAlert;
  if (typeof value === "object" && value !== null && isWhole(one)) return one;
  throw new TidewireError("RULE_STATE_UNREADABLE", { reason: "it has an alert as no Tidewire writes it" });
}

/** As far as reading it must not fail; its checksum says that it is as it was written. */
function isWhole(one: MovedAlert): boolean {
  switch (one.kind) {
    case "key": {
      const { phase, streak, raises } = one.life ?? {};
      const isAlive = typeof phase?.type === "string" && typeof streak === "number" && Array.isArray(raises);
      const isStory = Array.isArray(one.history) && Array.isArray(one.told);
      return isAlive && isStory && [one.key, one.thing, one.alert?.id ?? ""].every(isText);
    }
    case "watch":
      return [one.heard?.key, one.heard?.thing].every(isText) && [one.heard.at, one.heard.span].every(Number.isFinite);
    case "group":
      return [one.id, one.document].every(isText) && Array.isArray(one.contacts) && typeof one.labels === "object";
    case "message":
      return [one.contact, one.group, one.conversation?.begunBy].every(isText);
    default:
      return false;
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isActive({ record }: Track): boolean {
  return record?.alert.state === "active";
}

function movedTrack(track: Track): MovedAlert[] {
  const { key, thing, life, record } = track;
  const place = { kind: "key", key, thing, life } as const;
  if (isAtWork(track)) {
    const { alert, history, told } = record!;
    return [{ ...place, alert, history, told: [...told] }];
  }
  return life.streak === 0 && life.raises.length === 0 ? [] : [{ ...place, alert: null, history: [], told: [] }];
}

function only<K extends MovedAlert["kind"]>(moved: readonly MovedAlert[], kind: K): Moved<K>[] {
  return moved.filter((one): one is Moved<K> => one.kind === kind);
}

function knownGroups(groups: readonly Moved<"group">[], records: readonly AlertRecord[]): Map<string, KnownGroup> {
  const members = new Map(groups.map(({ id }) => [id, new Set<AlertRecord>()]));
  for (const record of records) for (const id of record.told) members.get(id)?.add(record);
  return new Map(
    groups.map(({ id, contacts, labels, seq, isTouched, document }) => {
      const row = () => ({ kind: "group", id, thing: labels["thing"] ?? null, document }) as const;
      return [id, { id, labels, seq, isTouched, route: { contacts }, members: members.get(id)!, row }];
    }),
  );
}
