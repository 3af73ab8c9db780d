/** What a rule's actions send: made ready when the rule is put, rendered once per match. */
import type { Clock, EpochMs, JsonValue } from "../base/mod.ts";
import { kindOf } from "./actions/registry.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { ActionKind, Edits, Match, Rendered, SendPlan } from "./actions/kind.ts";
import type { Notification } from "./alerts/notification.ts";
import { copied, encoded } from "./delivery/bodies.ts";
import type { Origin, SavedDelivery } from "./delivery/delivery.ts";
import { errorDocument } from "./delivery/error-actions.ts";
import type { Failure } from "./delivery/error-actions.ts";
import { receiverOf } from "./delivery/receivers.ts";
import type { KeyedHash } from "./delivery/receivers.ts";
import type { Receiver } from "./delivery/sender.ts";
import { MessageInput } from "./input.ts";
import { Externals } from "../sql/mod.ts";
import type { CompiledSql, SqlEnvironment, TemplateScope } from "../sql/mod.ts";
import type { RuleDocument, RuleDraft, RulesLimits } from "./model.ts";
import { statementOf } from "./statement.ts";

export interface Send {
  /** The rule's name, and the action's number where it is not the first. */
  readonly name: string;
  /** As AWS IoT names failed actions. */
  readonly action: string;
  readonly receiver: Receiver;
  readonly plan: SendPlan;
}

/** The statement, for templates that may ask what `calls` then knows of; not of a rule with windows, whose time does not wait. */
export function asScope({ version, variables, windows }: CompiledSql, calls: Externals): TemplateScope {
  return windows === null ? { version, variables, calls } : { version, variables };
}

/** One per action that sends, in their order; null for those that do not. */
export function sendsOf(rule: RuleDraft, sql: TemplateScope, hash: KeyedHash): (Send | null)[] {
  // The same event may go to one receiver by two actions of a rule: two ids, or it would drop the second.
  return rule.actions.map((action, i) => sendOf(action, i === 0 ? rule.ruleName : `${rule.ruleName}.${i}`, sql, hash));
}

export function errorSendOf({ ruleName, errorAction }: RuleDraft, sql: TemplateScope, hash: KeyedHash): Send | null {
  return errorAction === undefined ? null : sendOf(errorAction, `${ruleName}.error`, sql, hash);
}

function sendOf(action: RuleAction, name: string, sql: TemplateScope, hash: KeyedHash): Send | null {
  const { kind, body } = kindOf(action);
  if (kind.carrier === null) return null;
  const plan = kind.plan!(body, sql);
  return {
    name,
    action: actionName(kind),
    receiver: receiverOf(kind.carrier.name, plan.label, plan.settings, hash),
    plan,
  };
}

function actionName({ name }: ActionKind): string {
  return `${name.slice(0, 1).toUpperCase()}${name.slice(1)}Action`;
}

export class RuleMatch implements Match {
  readonly input: MessageInput;
  readonly #rule: string;
  readonly #sql: Pick<CompiledSql, "select"> | null;
  #value: JsonValue | Uint8Array | undefined;
  #bytes: Uint8Array | null = null;

  /** `value`: what the statement selects; undefined where that is the whole payload, and `sql` is asked for it if need be. */
  constructor(
    input: MessageInput,
    value: JsonValue | Uint8Array | undefined,
    rule: string,
    sql: Pick<CompiledSql, "select"> | null = null,
  ) {
    this.input = input;
    this.#rule = rule;
    this.#value = value;
    this.#sql = sql;
  }

  get value(): JsonValue | Uint8Array {
    if (this.#value === undefined) this.#value = this.#sql!.select(this.input);
    return this.#value;
  }

  get variables(): { readonly thing: string; readonly rule: string } {
    return { thing: this.input.thing, rule: this.#rule };
  }

  get bytes(): Uint8Array {
    this.#bytes ??= this.#encoded();
    return this.#bytes;
  }

  /** The message's own bytes belong to the log's buffer. */
  #encoded(): Uint8Array {
    const plain = this.#value === undefined ? this.input.plainBytes() : null;
    if (plain !== null) return copied(plain);
    return this.value instanceof Uint8Array ? copied(this.value) : encoded(JSON.stringify(this.value));
  }
}

/** The message's part in all deliveries of one rule. */
export interface Occasion {
  readonly event: string;
  readonly rule: string;
  readonly things: readonly string[];
  readonly offset: number;
  readonly createdAt: EpochMs;
  /** A copy, for the rule's error action; null where it has none. */
  readonly payload: Uint8Array | null;
}

export function deliveryOf(send: Send, occasion: Occasion, match: Match): SavedDelivery {
  const { event, rule, things, offset, createdAt, payload } = occasion;
  const { body, fields } = send.plan.render(match);
  const origin: Origin | null =
    payload === null
      ? null
      : {
          event,
          action: send.action,
          resource: send.receiver.label,
          topic: match.input.topic,
          clientId: match.input.clientId,
          payload,
        };
  return {
    id: `${send.name}-${event}`,
    receiver: send.receiver.key,
    rule,
    things,
    body,
    fields,
    offset,
    createdAt,
    origin,
    attempts: 0,
    nextAttemptAt: createdAt,
    lastError: null,
  };
}

export interface FailureNoticeOptions {
  readonly clock: Clock;
  readonly keyedHash: KeyedHash;
  readonly limits: RulesLimits;
  readonly environment?: SqlEnvironment;
}

/** Null where the rule has no error action. */
export function failureNotice(
  rule: RuleDraft,
  failure: Failure,
  { clock, keyedHash, limits, environment }: FailureNoticeOptions,
): { readonly delivery: SavedDelivery; readonly receiver: Receiver } | null {
  const send = errorSendOf(rule, statementOf(rule), keyedHash);
  if (send === null) return null;
  return { delivery: failureDelivery(send, failure, clock.now(), limits, environment), receiver: send.receiver };
}

/** What a rule's error action sends. Its templates see the message that failed; the SELECT's result is AWS IoT's document. */
function failureDelivery(
  send: Send,
  failure: Failure,
  createdAt: EpochMs,
  limits: RulesLimits,
  environment?: SqlEnvironment,
): SavedDelivery {
  const { things, offset, origin } = failure.letters[0]!;
  const { topic, clientId, event, payload } = origin;
  const sent = { topic, payload, clientId, thing: things[0] ?? clientId, receivedAt: createdAt };
  const input = new MessageInput({ ...sent, qos: 1, retain: false, properties: null }, limits, environment);
  // Base64 makes four bytes of three, and the rest of the document needs room.
  const document = errorDocument(failure, (limits.deliveryBodyBytesMax * 2) / 3);
  const occasion = { event, rule: failure.rule, things, offset, createdAt, payload: null };
  return deliveryOf(send, occasion, new RuleMatch(input, document, failure.rule));
}

/** Of its actions and its error action, each once. */
export function receiversOf(rule: RuleDraft, hash: KeyedHash): Receiver[] {
  const sql = statementOf(rule);
  const sends = [...sendsOf(rule, sql, hash), errorSendOf(rule, sql, hash)];
  const receivers = sends.flatMap((send) => (send === null ? [] : [send.receiver]));
  return [...new Map(receivers.map((receiver) => [receiver.key, receiver])).values()];
}

/** A target of alerts, made ready. */
export interface NoticeTarget {
  readonly receiver: Receiver;
  readonly announce: (notification: Notification) => Rendered;
  readonly edits: Edits;
  readonly converses: boolean;
}

/** `action`: of a kind that has an `announce`. */
export function noticeTarget(action: RuleAction, hash: KeyedHash): NoticeTarget {
  const { kind, body } = kindOf(action);
  const { receiver } = sendOf(action, "", {}, hash)!;
  const announce: NoticeTarget["announce"] = (notification) => kind.announce!(body, notification);
  return { receiver, announce, edits: editsOf(action), converses: kind.carrier?.converses === true };
}

export function editsOf(action: RuleAction): Edits {
  const { kind, body } = kindOf(action);
  return kind.edits?.(body) ?? "no";
}

/** Receivers of actions that go to the same server as before, with other settings: the key of the old one, and the new one. */
export function movedReceivers(
  before: RuleDocument,
  after: RuleDocument,
  hash: KeyedHash,
): { readonly old: string; readonly now: Receiver }[] {
  const sendsIn = (rule: RuleDocument): (Send | null)[] =>
    sendsOf(rule, asScope(statementOf(rule), new Externals()), hash);
  const sendsNow = sendsIn(after);
  return sendsIn(before).flatMap((send, i) => {
    const [old, now] = [send?.receiver, sendsNow[i]?.receiver];
    if (old === undefined || now === undefined || old.key === now.key) return [];
    return old.carrier === now.carrier && old.label === now.label ? [{ old: old.key, now }] : [];
  });
}
