/** Between the rules and the alerts: what a message says to a rule's alert, and notifications as deliveries. */
import { reasonOf } from "../base/mod.ts";
import type { Clock, EpochMs, Logger, Metrics, Millis, Random } from "../base/mod.ts";
import { kindOf, validateNotify } from "./actions/registry.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { Address, Addresses } from "./alerts/addresses.ts";
import { Alerting } from "./alerts/alerting.ts";
import type { CronTimes, Zones } from "./alerts/calendar.ts";
import { NO_CRON, UTC_ONLY } from "./alerts/calendar.ts";
import { alertConfigOf } from "./alerts/config.ts";
import type { AlertConfig } from "./alerts/config.ts";
import type { Notification } from "./alerts/notification.ts";
import { fieldsOf, picturedAlert, placeOf } from "./alerts/conversations.ts";
import { plainPlan } from "./alerts/plan.ts";
import { policyOf } from "./alerts/policy.ts";
import { describedSilence, heardOf, readingOf } from "./alerts/rule-alert.ts";
import type { AboutAlerts, AlertMessage, RuleAlert } from "./alerts/rule-alert.ts";
import { fresh } from "./delivery/delivery.ts";
import type { SavedDelivery } from "./delivery/delivery.ts";
import type { KeyedHash } from "./delivery/receivers.ts";
import type { Receiver } from "./delivery/sender.ts";
import type { MessageInput } from "./input.ts";
import type { RulesLimits } from "./model.ts";
import type { AlertPictures } from "./conversing.ts";
import { editsOf, noticeTarget } from "./sends.ts";
import type { NoticeTarget } from "./sends.ts";

export interface RuleAlertsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: RulesLimits;
  readonly keyedHash: KeyedHash;
  readonly notify: readonly RuleAction[];
  /** How people are told; null: `notify` alone. */
  readonly config: AlertConfig<RuleAction> | null;
  readonly zones?: Zones | undefined;
  readonly cron?: CronTimes | undefined;
  /** Labels of a thing: its type, groups and attributes. */
  readonly aboutThing?: AboutAlerts["labelsOf"] | undefined;
  readonly unitOfAlert?: AboutAlerts["unitOf"] | undefined;
  /** Null where there is no such rule, or it raises none. */
  readonly alertOf: (ruleName: string) => RuleAlert | null;
  /** Before offsets of its messages, in ids. */
  readonly placeOf: (ruleName: string) => string;
  readonly position: () => number;
  readonly save: () => void;
  readonly inOneSave: (steps: () => void) => void;
  readonly pictures: AlertPictures | null;
  readonly enqueue: (delivery: SavedDelivery, receiver: Receiver) => void;
}

/** Messages that were accepted so long ago are old: there are more to come, and time says nothing yet. */
const BEHIND: Millis = 10_000;

export class RuleAlerts {
  readonly alerting: Alerting;
  readonly #o: RuleAlertsOptions;
  readonly #about: AlertMessage["about"];
  #targets: ReadonlyMap<string, NoticeTarget>;
  #dashboard: string | null;
  #newest: EpochMs = 0;
  #moved = false;

  constructor(options: RuleAlertsOptions) {
    this.#o = options;
    const { config, notify, limits, keyedHash } = options;
    const { plan, actions } = config ?? plainConfig(notify);
    this.#dashboard = plan.link;
    this.#about = {
      labelsOf: options.aboutThing ?? ((): Record<string, string> => ({})),
      unitOf: options.unitOfAlert ?? ((): null => null),
    };
    this.#targets = targetsOf(actions, keyedHash);
    this.alerting = new Alerting({
      ...options,
      plan,
      zones: options.zones ?? UTC_ONLY,
      cron: options.cron ?? NO_CRON,
      rules: {
        policyOf: (rule) => options.alertOf(rule)?.policy ?? policyOf({}, limits.alertClearAfter),
        placeOf: options.placeOf,
        watches: (rule) => options.alertOf(rule)?.spec.absentSeconds !== undefined,
        describeSilence: (heard) => describedSilence(options.alertOf(heard.rule)!, heard, this.#about),
      },
      send: (notification, things) => this.#send(notification, things),
    });
  }

  observe(offset: number, input: MessageInput, rule: string, alert: RuleAlert, verdict: boolean | undefined): void {
    const { thing, receivedAt } = input;
    this.#newest = Math.max(this.#newest, receivedAt); // a rule that is behind with asking does not stop the others time
    this.#moved = true;
    const message: AlertMessage = { rule, thing, offset, receivedAt, input, verdict, about: this.#about };
    const { absentSeconds } = alert.spec;
    if (absentSeconds !== undefined) {
      if (verdict === true) this.alerting.hear(heardOf(alert, message, absentSeconds));
      return;
    }
    const reading = readingOf(alert, message);
    if (reading !== null) this.alerting.observe(reading);
  }

  /** From now on people are told so; null: `notify` alone. `followContacts` is to be called afterwards. */
  replan(config: AlertConfig<RuleAction> | null): void {
    const { plan, actions } = config ?? plainConfig(this.#o.notify);
    this.#dashboard = plan.link;
    this.#targets = targetsOf(actions, this.#o.keyedHash);
    this.#o.inOneSave(() => this.alerting.replan(plan));
    this.#o.save();
  }

  /**
   * Contact points that are elsewhere than they were last: what waits for them goes there. `move` says whether it does; until then
   * they are held for where they were, so that a start after a crash in between follows them again.
   */
  followContacts(move: (moved: MovedContact) => boolean): void {
    const { addresses, conversations } = this.alerting;
    const moved = movedContacts(addresses, this.#targets);
    // What was sent can be edited only where it is.
    for (const { contact } of moved) conversations.movedAway(contact);
    if (moved.every((contact) => !contact.waits || move(contact))) addresses.put(addressesOf(this.#targets));
  }

  tick(): void {
    const isBehind = this.#moved && this.#newest < this.#o.clock.now() - BEHIND;
    this.#moved = false;
    this.#o.inOneSave(() => this.alerting.tick(!isBehind));
  }

  #send(notification: Notification, things: readonly string[]): void {
    const target = this.#targets.get(notification.contact);
    if (target === undefined) return;
    const { receiver } = target;
    const { body, fields } = target.announce(this.#linked(notification));
    const delivery = fresh({
      body,
      fields: {
        ...fields,
        ...(target.converses ? fieldsOf(placeOf(notification, target.edits === "silently")) : {}),
      },
      id: notification.id,
      receiver: receiver.key,
      rule: null,
      things,
      offset: this.#o.position() - 1,
      createdAt: this.#o.clock.now(),
      origin: null,
    });
    this.#o.enqueue(delivery, receiver);
  }

  /** With the address of its picture, where the dashboard can be reached. */
  #linked(notification: Notification): Notification {
    const { links, at } = notification;
    const alert = picturedAlert(notification);
    if (links === null || alert === null || this.#dashboard === null || this.#o.pictures === null) return notification;
    try {
      return { ...notification, links: { ...links, picture: this.#o.pictures.link(this.#dashboard, alert.id, at) } };
    } catch (error) {
      // No picture is worth a notification.
      this.#o.logger.error("A notification has no link to its picture", { reason: reasonOf(error) });
      return notification;
    }
  }
}

function targetsOf(actions: AlertConfig<RuleAction>["actions"], hash: KeyedHash): ReadonlyMap<string, NoticeTarget> {
  return new Map([...actions].map(([name, action]) => [name, noticeTarget(action, hash)]));
}

export interface MovedContact {
  /** Key of the receiver that was told before. */
  readonly from: string;
  readonly to: Receiver;
}

/**
 * Contact points that have another address than before. `waits`: what waits for the old one is to go to the new one, as it is
 * written: not to another kind of channel, which could not read it, and not where somebody else is told at the old address still.
 */
function movedContacts(
  before: Addresses,
  now: ReadonlyMap<string, NoticeTarget>,
): readonly (MovedContact & { readonly contact: string; readonly waits: boolean })[] {
  const told = new Set([...now.values()].map(({ receiver }) => receiver.key));
  return [...now].flatMap(([contact, { receiver: to }]) => {
    const old = before.of(contact);
    if (old === null || to.key === old.receiver) return [];
    // Without names, contact points are known by their places in a list: where one has gone, the next is no other address of it.
    const isOther = told.has(old.receiver) || before.has(to.key);
    return [{ contact, from: old.receiver, to, waits: to.carrier === old.carrier && !isOther }];
  });
}

function addressesOf(targets: ReadonlyMap<string, NoticeTarget>): ReadonlyMap<string, Address> {
  return new Map(
    [...targets].map(([contact, { receiver }]) => [contact, { receiver: receiver.key, carrier: receiver.carrier }]),
  );
}

/** Contact points are named by their kind and place: `slack-1`. */
function plainConfig(notify: readonly RuleAction[]): AlertConfig<RuleAction> {
  const actions = new Map(notify.map((action, i) => [`${kindOf(action).kind.name}-${i}`, action]));
  const contacts = [...actions].map(([name, action]) => {
    const { kind } = kindOf(action);
    return {
      name,
      perMinute: kind.isProgram === true ? null : PLAIN_PER_MINUTE,
      edits: editsOf(action),
      channel: kind.name,
    };
  });
  return { plan: plainPlan(contacts), actions };
}
/** A burst that a person may still read one by one. */
const PLAIN_PER_MINUTE = 20;

/** The `alerts` section of a configuration. Throws RULE_INVALID. */
export function readAlertConfig(
  input: unknown,
  ports: { readonly zones: Zones; readonly cron: CronTimes },
): AlertConfig<RuleAction> {
  return alertConfigOf<RuleAction>(input, {
    ...ports,
    actionAt: (action, at) => validateNotify(action, at),
    edits: editsOf,
    channelOf: (action) => kindOf(action).kind.name,
    isProgram: (action) => kindOf(action).kind.isProgram === true,
  });
}
