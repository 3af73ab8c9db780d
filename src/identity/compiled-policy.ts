/** A connection's policies with its own values filled in. Deny wins; what nothing allows is denied. */
import { ingestOf, thingNamedIn } from "../base/mod.ts";
import { actionBit } from "./actions.ts";
import type { PolicyAction } from "./actions.ts";
import { conditionHolds } from "./conditions.ts";
import type { Effect, PolicyDocument, Statement } from "./policy-document.ts";
import { bindResource, isSystemTopic, resourceMatches } from "./resource.ts";
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
  /** One sentence for the log and for `tidewire policy test`. */
  readonly sentence: string;
  /** Allow statements for this action that could not apply, and why. */
  readonly notes: readonly string[];
}

export interface CompiledPolicy {
  connect(clientId: string): boolean;
  /**
   * A retained publish needs iot:Publish and iot:RetainPublish on the topic, as on AWS IoT. Basic Ingest that speaks for
   * another thing (`$aws/rules/RULE/telemetry/OTHER/…`) needs iot:Publish on `telemetry/OTHER/…`, too; so does any by who
   * stands for no thing under the name of one.
   */
  publish(topic: string, retain: boolean): boolean;
  /** `filter` may begin with `$share/<group>/`: then either form may be allowed, and a Deny of either denies. */
  subscribe(filter: string): boolean;
  receive(topic: string): boolean;
  /** `resource`: the client id, topic, filter or thing that `action` is about. Not for the hot path: nothing is kept. */
  allows(action: PolicyAction, resource: string): boolean;
  explain(action: PolicyAction, resource: string): Explanation;
  /** Every statement that has a say, where `explain` names the one that decides. */
  weigh(action: PolicyAction, resource: string): Weighing;
}

export interface Weighing {
  readonly denies: readonly StatementRef[];
  readonly allows: readonly StatementRef[];
  /** Variables of Allow statements that have no usable value here, and so kept them from applying. */
  readonly missing: readonly string[];
}

interface Rule {
  readonly policy: NamedPolicy;
  /** Place in the document. */
  readonly index: number;
  readonly resources: readonly BoundResource[];
}

/** All statements about one action, with conditions decided. */
interface RuleSet {
  readonly denies: readonly Rule[];
  readonly allows: readonly Rule[];
  readonly notes: readonly string[];
  readonly missing: readonly string[];
}

type Decision = { readonly verdict: "allow" | "deny"; readonly rule: Rule } | { readonly verdict: "none" };

const SPEAKS_FOR_ANOTHER =
  "by Basic Ingest the message would speak for another thing, so iot:Publish is needed on the topic behind the rule's name, too";
const NO_DECISION: Decision = { verdict: "none" };
const NO_RULES: readonly Rule[] = [];
const NOTHING: readonly string[] = [];

const KIND_OF: Readonly<Record<PolicyAction, ResourceKind>> = {
  Connect: "client",
  Publish: "topic",
  RetainPublish: "topic",
  Receive: "topic",
  Subscribe: "topicfilter",
  GetThingShadow: "thing",
  UpdateThingShadow: "thing",
  DeleteThingShadow: "thing",
  ListNamedShadowsForThing: "thing",
  GetRetainedMessage: "topic",
  ListRetainedMessages: "topic",
  DeleteConnection: "client",
};

/** The policies of one connection, ready to be asked. */
export function compilePolicy(policies: readonly NamedPolicy[], context: PolicyContext): CompiledPolicy {
  return new BoundPolicy(policies, context);
}

/** Rules are bound on the first question about their action: a device that only publishes pays for nothing else. */
class BoundPolicy implements CompiledPolicy {
  readonly #policies: readonly NamedPolicy[];
  readonly #context: PolicyContext;
  #publish: RuleSet | null = null;
  #retain: RuleSet | null = null;
  #subscribe: RuleSet | null = null;
  #receive: RuleSet | null = null;

  constructor(policies: readonly NamedPolicy[], context: PolicyContext) {
    this.#policies = policies;
    this.#context = context;
  }

  connect(clientId: string): boolean {
    return decide(this.#rules("Connect"), "client", clientId).verdict === "allow";
  }

  publish(topic: string, retain: boolean): boolean {
    const rules = this.#rules("Publish");
    if (decide(rules, "topic", topic).verdict !== "allow") return false;
    const other = this.#spokenFor(topic);
    if (other !== null && decide(rules, "topic", other).verdict !== "allow") return false;
    return !retain || decide(this.#rules("RetainPublish"), "topic", topic).verdict === "allow";
  }

  subscribe(filter: string): boolean {
    return this.#decideFilter(filter).verdict === "allow";
  }

  receive(topic: string): boolean {
    return decide(this.#rules("Receive"), "topic", topic).verdict === "allow";
  }

  allows(action: PolicyAction, resource: string): boolean {
    if (action === "Publish") return this.publish(resource, false);
    return this.#decideAsWritten(action, resource).verdict === "allow";
  }

  explain(action: PolicyAction, resource: string): Explanation {
    const rules = this.#rules(action);
    const explained = explain(action, resource, this.#decideAsWritten(action, resource), rules);
    const other = explained.allowed && action === "Publish" ? this.#spokenFor(resource) : null;
    if (other === null) return explained;
    const behind = explain(action, other, decide(rules, "topic", other), rules);
    return behind.allowed ? explained : { ...behind, notes: [...behind.notes, SPEAKS_FOR_ANOTHER] };
  }

  weigh(action: PolicyAction, resource: string): Weighing {
    const own = this.#weighAsWritten(action, resource);
    const other = action === "Publish" ? this.#spokenFor(resource) : null;
    if (other === null) return own;
    const behind = this.#weighAsWritten(action, other);
    const both = own.allows.length > 0 && behind.allows.length > 0;
    return {
      denies: [...own.denies, ...behind.denies],
      allows: both ? [...own.allows, ...behind.allows] : [],
      missing: [...new Set([...own.missing, ...behind.missing])],
    };
  }

  #weighAsWritten(action: PolicyAction, resource: string): Weighing {
    const rules = this.#rules(action);
    const kind = KIND_OF[action];
    const named = kind !== "client" && isSystemTopic(resource);
    const plain = action === "Subscribe" ? unshared(resource) : null;
    const forms = plain === null ? [resource] : [resource, plain];
    const matching = (among: readonly Rule[], onlyNamed: boolean): readonly StatementRef[] =>
      among
        .filter((rule) => forms.some((form) => ruleMatches(rule, kind, form, onlyNamed)))
        .map(({ policy, index }) => refOf(policy, index));
    return { denies: matching(rules.denies, false), allows: matching(rules.allows, named), missing: rules.missing };
  }

  #decideAsWritten(action: PolicyAction, resource: string): Decision {
    if (action === "Subscribe") return this.#decideFilter(resource);
    return decide(this.#rules(action), KIND_OF[action], resource);
  }

  /**
   * The topic that the rule will see, where Basic Ingest speaks for another thing. AWS asks about the whole topic alone; but
   * there no reading is taken for that of the thing in its topic, and `$aws/rules/*` is what its examples allow. Who stands for
   * no thing speaks as his client id, which he may have chosen after a thing.
   */
  #spokenFor(topic: string): string | null {
    const ingest = ingestOf(topic);
    if (ingest === null) return null;
    const { thing, clientId, isThing } = this.#context;
    const named = thingNamedIn(ingest.rest);
    if (thing !== null) return named === null || named === thing.thingName ? null : ingest.rest;
    const another = named !== null && named !== clientId;
    return another || isThing?.(clientId) === true ? ingest.rest : null;
  }

  #decideFilter(filter: string): Decision {
    const rules = this.#rules("Subscribe");
    const asWritten = decide(rules, "topicfilter", filter);
    const plain = unshared(filter);
    if (plain === null || asWritten.verdict === "deny") return asWritten;
    const underneath = decide(rules, "topicfilter", plain);
    return underneath.verdict === "none" ? asWritten : underneath;
  }

  #rules(action: PolicyAction): RuleSet {
    if (action === "Publish") return (this.#publish ??= this.#bind(action));
    if (action === "Receive") return (this.#receive ??= this.#bind(action));
    if (action === "Subscribe") return (this.#subscribe ??= this.#bind(action));
    if (action === "RetainPublish") return (this.#retain ??= this.#bind(action));
    return this.#bind(action); // asked once per connection or request: not worth its memory
  }

  #bind(action: PolicyAction): RuleSet {
    return bindRules(this.#policies, action, this.#context);
  }
}

/** The filter of a shared subscription without `$share/<group>/`, MQTT 5.0 section 4.8.2. */
function unshared(filter: string): string | null {
  if (!filter.startsWith("$share/")) return null;
  const slash = filter.indexOf("/", 7);
  return slash < 0 ? null : filter.slice(slash + 1);
}

function decide(rules: RuleSet, kind: ResourceKind, name: string): Decision {
  for (const rule of rules.denies) if (ruleMatches(rule, kind, name, false)) return { verdict: "deny", rule };
  const named = kind !== "client" && isSystemTopic(name);
  for (const rule of rules.allows) if (ruleMatches(rule, kind, name, named)) return { verdict: "allow", rule };
  return NO_DECISION;
}

/** `named`: only resources that are written for `$SYS` count. */
function ruleMatches(rule: Rule, kind: ResourceKind, name: string, named: boolean): boolean {
  for (const resource of rule.resources) {
    if ((resource.system || !named) && resourceMatches(resource, kind, name)) return true;
  }
  return false;
}

function bindRules(policies: readonly NamedPolicy[], action: PolicyAction, context: PolicyContext): RuleSet {
  const denies: Rule[] = [];
  const allows: Rule[] = [];
  const notes: string[] = [];
  const missing: string[] = [];
  for (const policy of policies) {
    for (const [index, statement] of policy.document.statements.entries()) {
      if ((statement.actionBits & actionBit(action)) === 0) continue;
      const connecting = action === "Connect";
      const resources = bindStatement(statement, refOf(policy, index), connecting, context, notes, missing);
      if (resources.length > 0) (statement.effect === "Deny" ? denies : allows).push({ policy, index, resources });
    }
  }
  return {
    denies: denies.length === 0 ? NO_RULES : denies,
    allows: allows.length === 0 ? NO_RULES : allows,
    notes: notes.length === 0 ? NOTHING : notes,
    missing: missing.length === 0 ? NOTHING : missing,
  };
}

function bindStatement(
  statement: Statement,
  ref: StatementRef,
  connecting: boolean,
  context: PolicyContext,
  notes: string[],
  missing: string[],
): readonly BoundResource[] {
  const { effect } = statement;
  const failed = statement.conditions.find((condition) => !conditionHolds(condition, context, connecting, effect));
  if (failed !== undefined) {
    if (effect === "Allow") {
      notes.push(`${nameOf(ref)} does not apply: its condition ${failed.text} is not met`);
      if (failed.key.read(context, connecting) === undefined) missing.push(failed.key.name);
    }
    return [];
  }
  const resources: BoundResource[] = [];
  for (const source of statement.resources) {
    const bound = bindResource(source, context, connecting, effect);
    if (bound === null) continue;
    if ("glob" in bound) resources.push(bound);
    else {
      const names = bound.unresolved.map((name) => `\${${name}}`).join(", ");
      missing.push(...bound.unresolved);
      notes.push(`${nameOf(ref)} does not apply to ${source.text}: ${names} has no usable value on this connection`);
    }
  }
  return resources;
}

function refOf(policy: NamedPolicy, index: number): StatementRef {
  const { sid, effect } = policy.document.statements[index]!;
  return { policy: policy.name, statement: index, sid, effect };
}

function explain(action: PolicyAction, resource: string, decision: Decision, rules: RuleSet): Explanation {
  const what = `iot:${action} on ${KIND_OF[action]} '${resource}'`;
  if (decision.verdict === "none") {
    return {
      allowed: false,
      decidedBy: null,
      sentence: `${what} is denied: no statement of the attached policies allows it`,
      notes: rules.notes,
    };
  }
  const decidedBy = refOf(decision.rule.policy, decision.rule.index);
  const allowed = decision.verdict === "allow";
  return {
    allowed,
    decidedBy,
    sentence: `${what} is ${allowed ? "allowed" : "denied"} by ${nameOf(decidedBy)}`,
    notes: allowed ? [] : rules.notes,
  };
}

function nameOf(ref: StatementRef): string {
  return `policy '${ref.policy}' statement ${ref.sid ?? ref.statement}`;
}
