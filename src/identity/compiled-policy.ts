/** A connection's policies with its own values filled in. Deny wins; what nothing allows is denied. */
import { MQTT_ACTIONS, actionBit } from "./actions.ts";
import type { MqttAction } from "./actions.ts";
import { conditionHolds } from "./conditions.ts";
import type { Effect, PolicyDocument, Statement } from "./policy-document.ts";
import { bindResource, resourceMatches } from "./resource.ts";
import type { BoundResource, ResourceKind } from "./resource.ts";
import type { PolicyContext } from "./variables.ts";

export interface NamedPolicy {
  readonly name: string;
  readonly document: PolicyDocument;
}

export interface StatementRef {
  readonly policy: string;
  /** Place in the document, from 0. */
  readonly statement: number;
  readonly sid: string | null;
  readonly effect: Effect;
}

export interface Explanation {
  readonly allowed: boolean;
  /** The statement that decided; `null` where nothing matched. */
  readonly decidedBy: StatementRef | null;
  /** One sentence for the log and for `tidewire policy explain`. */
  readonly sentence: string;
  /** Allow statements for this action that could not apply, and why. */
  readonly notes: readonly string[];
}

export interface CompiledPolicy {
  connect(clientId: string): boolean;
  /** A retained publish needs iot:Publish and iot:RetainPublish on the topic, as on AWS IoT. */
  publish(topic: string, retain: boolean): boolean;
  /** `filter` may begin with `$share/<group>/`: then either form may be allowed, and a Deny of either denies. */
  subscribe(filter: string): boolean;
  receive(topic: string): boolean;
  /** `resource`: the client id, topic or filter that `action` is about. */
  explain(action: MqttAction, resource: string): Explanation;
}

interface Rule extends StatementRef {
  readonly resources: readonly BoundResource[];
}

/** All statements about one action, with conditions decided. */
interface RuleSet {
  readonly denies: readonly Rule[];
  readonly allows: readonly Rule[];
  readonly notes: readonly string[];
}

type Decision = { readonly verdict: "allow" | "deny"; readonly rule: Rule } | { readonly verdict: "none" };

const KIND_OF: Readonly<Record<MqttAction, ResourceKind>> = {
  Connect: "client",
  Publish: "topic",
  RetainPublish: "topic",
  Receive: "topic",
  Subscribe: "topicfilter",
};

/** Rules are bound on the first question about their action: a device that only publishes pays for nothing else. */
export function compilePolicy(policies: readonly NamedPolicy[], context: PolicyContext): CompiledPolicy {
  const sets: (RuleSet | undefined)[] = Array.from({ length: MQTT_ACTIONS.length });
  const rulesFor = (action: MqttAction): RuleSet => {
    const bit = MQTT_ACTIONS.indexOf(action);
    return (sets[bit] ??= bindRules(policies, action, context));
  };
  const decideOne = (action: MqttAction, resource: string): Decision =>
    decide(rulesFor(action), KIND_OF[action], resource);
  const decideShared = (filter: string): Decision => {
    const plain = unshared(filter);
    const asWritten = decideOne("Subscribe", filter);
    if (plain === null || asWritten.verdict === "deny") return asWritten;
    const underneath = decideOne("Subscribe", plain);
    return underneath.verdict === "none" ? asWritten : underneath;
  };
  const decideAny = (action: MqttAction, resource: string): Decision =>
    action === "Subscribe" ? decideShared(resource) : decideOne(action, resource);
  const allows = (action: MqttAction, resource: string): boolean => decideAny(action, resource).verdict === "allow";
  return {
    connect: (clientId) => allows("Connect", clientId),
    publish: (topic, retain) => allows("Publish", topic) && (!retain || allows("RetainPublish", topic)),
    subscribe: (filter) => allows("Subscribe", filter),
    receive: (topic) => allows("Receive", topic),
    explain: (action, resource) => explain(action, resource, decideAny(action, resource), rulesFor(action)),
  };
}

/** The filter of a shared subscription without `$share/<group>/`, MQTT 5.0 section 4.8.2. */
function unshared(filter: string): string | null {
  if (!filter.startsWith("$share/")) return null;
  const slash = filter.indexOf("/", 7);
  return slash < 0 ? null : filter.slice(slash + 1);
}

function decide(rules: RuleSet, kind: ResourceKind, name: string): Decision {
  for (const rule of rules.denies) if (ruleMatches(rule, kind, name)) return { verdict: "deny", rule };
  for (const rule of rules.allows) if (ruleMatches(rule, kind, name)) return { verdict: "allow", rule };
  return { verdict: "none" };
}

function ruleMatches(rule: Rule, kind: ResourceKind, name: string): boolean {
  for (const resource of rule.resources) if (resourceMatches(resource, kind, name)) return true;
  return false;
}

function bindRules(policies: readonly NamedPolicy[], action: MqttAction, context: PolicyContext): RuleSet {
  const denies: Rule[] = [];
  const allows: Rule[] = [];
  const notes: string[] = [];
  for (const { name, document } of policies) {
    for (const [index, statement] of document.statements.entries()) {
      if ((statement.mqttActions & actionBit(action)) === 0) continue;
      const ref: StatementRef = { policy: name, statement: index, sid: statement.sid, effect: statement.effect };
      const rule = bindStatement(statement, ref, action === "Connect", context, notes);
      if (rule !== null) (statement.effect === "Deny" ? denies : allows).push(rule);
    }
  }
  return { denies, allows, notes };
}

function bindStatement(
  statement: Statement,
  ref: StatementRef,
  connecting: boolean,
  context: PolicyContext,
  notes: string[],
): Rule | null {
  const { effect } = statement;
  const failed = statement.conditions.find((condition) => !conditionHolds(condition, context, connecting, effect));
  if (failed !== undefined) {
    if (effect === "Allow") notes.push(`${nameOf(ref)} does not apply: its condition ${failed.text} is not met`);
    return null;
  }
  const resources: BoundResource[] = [];
  for (const source of statement.resources) {
    const bound = bindResource(source, context, connecting, effect);
    if (bound === null) continue;
    if ("glob" in bound) resources.push(bound);
    else {
      const names = bound.unresolved.map((name) => `\${${name}}`).join(", ");
      notes.push(`${nameOf(ref)} does not apply to ${source.text}: ${names} has no usable value on this connection`);
    }
  }
  return resources.length === 0 ? null : { ...ref, resources };
}

function explain(action: MqttAction, resource: string, decision: Decision, rules: RuleSet): Explanation {
  const what = `iot:${action} on ${KIND_OF[action]} '${resource}'`;
  if (decision.verdict === "none") {
    return {
      allowed: false,
      decidedBy: null,
      sentence: `${what} is denied: no statement of the attached policies allows it`,
      notes: rules.notes,
    };
  }
  const { policy, statement, sid, effect } = decision.rule;
  const allowed = decision.verdict === "allow";
  return {
    allowed,
    decidedBy: { policy, statement, sid, effect },
    sentence: `${what} is ${allowed ? "allowed" : "denied"} by ${nameOf(decision.rule)}`,
    notes: allowed ? [] : rules.notes,
  };
}

function nameOf(ref: StatementRef): string {
  return `policy '${ref.policy}' statement ${ref.sid ?? ref.statement}`;
}
