/** The alert of a rule: what a user writes, checked, compiled, and what it makes of a message. */
import { days } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import { SqlError, compileTemplate } from "../../sql/mod.ts";
import type { CompiledSql, CompiledTemplate, SqlInput } from "../../sql/mod.ts";
import { variablesNamedIn } from "../actions/checks.ts";
import type { Heard } from "./absence.ts";
import type { AlertReading, Description } from "./reading.ts";
import { countAt, invalid, numberAt, objectAt, textAt } from "./checks.ts";
import type { Json } from "./checks.ts";
import { RAISES_MAX, STREAK_READINGS_MAX } from "./life-cycle.ts";
import type { Policy } from "./life-cycle.ts";
import { SEVERITIES } from "./model.ts";
import type { Severity } from "./model.ts";
import { policyOf } from "./policy.ts";
import type { AlertTiming } from "./policy.ts";

/** Templates hold `${expression}`, `${thing}`, `${rule}`. */
export interface AlertSpec extends AlertTiming {
  readonly severity: Severity;
  /** Template: one sentence. */
  readonly summary: string;
  /** Template: what tells the alerts of this rule apart. Default: the thing. */
  readonly key?: string;
  /** Templates; routes, silences and groups can ask for them. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Templates: what was measured, and what it is held against. */
  readonly value?: string;
  readonly threshold?: string;
  /** Expression: it is well again only when this is true. Without it: when WHERE is false. */
  readonly clearWhen?: string;
  /** Not WHERE raises it, but silence: nothing that matches was heard of the thing for so long. */
  readonly absentSeconds?: number;
}

export interface RuleAlert {
  readonly spec: AlertSpec;
  readonly policy: Policy;
  readonly summary: CompiledTemplate;
  readonly key: CompiledTemplate | null;
  readonly value: CompiledTemplate | null;
  readonly threshold: CompiledTemplate | null;
  readonly labels: readonly (readonly [string, CompiledTemplate])[];
  readonly clear: CompiledTemplate | null;
}

const TEMPLATE_CHARS_MAX = 2048;
const LABELS_MAX = 16;
const LABEL_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const LABELS_TAKEN = ["severity", "rule", "thing", "key", "source", "id", "thingType", "thingGroup"];
const SECONDS_MAX = days(1) / 1000;
const SILENCE_SECONDS_MAX = days(31) / 1000;
const KEYS = [
  "severity summary key labels value threshold clearWhen absentSeconds",
  "forSeconds breaches clearAfterSeconds clears recovery flapping",
].flatMap((line) => line.split(" "));

/** Throws RULE_INVALID. */
export function validateAlertSpec(input: unknown, at: string): AlertSpec {
  const body = objectAt(input, at, KEYS);
  const severity = SEVERITIES.find((one) => one === body["severity"]);
  if (severity === undefined) throw invalid(`${at}.severity`, `it must be one of ${SEVERITIES.join(", ")}`);
  const absent = body["absentSeconds"];
  return {
    severity,
    summary: templateAt(body["summary"], `${at}.summary`),
    ...optional(body, at, "key", templateAt),
    ...optional(body, at, "labels", labelsAt),
    ...optional(body, at, "value", templateAt),
    ...optional(body, at, "threshold", templateAt),
    ...optional(body, at, "clearWhen", expressionAt),
    ...(absent === undefined ? {} : { absentSeconds: numberAt(absent, `${at}.absentSeconds`, 1, SILENCE_SECONDS_MAX) }),
    ...timingAt(body, at),
  };
}

function timingAt(body: Json, at: string): AlertTiming {
  const seconds = (input: unknown, where: string): number => numberAt(input, where, 0, SECONDS_MAX);
  return {
    ...optional(body, at, "forSeconds", seconds),
    ...optional(body, at, "breaches", someOf),
    ...optional(body, at, "clearAfterSeconds", seconds),
    ...optional(body, at, "clears", someOf),
    ...optional(body, at, "recovery", (input, where) => {
      const recovery = objectAt(input, where, ["factor", "maxSeconds"]);
      const factor = numberAt(recovery["factor"], `${where}.factor`, 1, 10);
      return { factor, ...optional(recovery, where, "maxSeconds", seconds) };
    }),
    ...optional(body, at, "flapping", (input, where) => {
      if (input === false) return false;
      const flapping = objectAt(input, where, ["raises", "calmSeconds"]);
      const raises = countAt(flapping["raises"], `${where}.raises`, 2, RAISES_MAX);
      return { raises, ...optional(flapping, where, "calmSeconds", seconds) };
    }),
  };
}

function optional<K extends string, T>(
  body: Json,
  at: string,
  name: K,
  read: (input: unknown, at: string) => T,
): { readonly [N in K]?: T } {
  const given = body[name];
  return given === undefined ? {} : ({ [name]: read(given, `${at}.${name}`) } as { readonly [N in K]?: T });
}

function someOf(input: unknown, at: string): { readonly needed: number; readonly of: number } {
  const { needed, of } = objectAt(input, at, ["needed", "of"]);
  const readings = countAt(of, `${at}.of`, 1, STREAK_READINGS_MAX);
  return { needed: countAt(needed, `${at}.needed`, 1, readings), of: readings };
}

function labelsAt(input: unknown, at: string): Readonly<Record<string, string>> {
  const entries = Object.entries(objectAt(input, at, Object.keys(input ?? {})));
  if (entries.length > LABELS_MAX) throw invalid(at, `at most ${LABELS_MAX} are allowed`);
  for (const [name, template] of entries) {
    if (!LABEL_NAME.test(name)) throw invalid(`${at}.${name.slice(0, 60)}`, "a label's name has letters, digits and _");
    if (LABELS_TAKEN.includes(name)) throw invalid(`${at}.${name}`, "every alert has this label already");
    templateAt(template, `${at}.${name}`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function templateAt(input: unknown, at: string): string {
  const template = textAt(input, at, TEMPLATE_CHARS_MAX);
  checked(template, at, template);
  return template;
}

function expressionAt(input: unknown, at: string): string {
  const expression = textAt(input, at, TEMPLATE_CHARS_MAX);
  checked(`\${${expression}}`, at, expression);
  return expression;
}

function checked(template: string, at: string, shown: string): void {
  try {
    compileTemplate(template, { variables: variablesNamedIn(template) });
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const { reason, hint } = error;
    throw invalid(at, `${reason}${hint === null ? "" : ` (${hint})`} in \`${shown.slice(0, 200)}\``);
  }
}

/** Throws `SqlError` where the rule was saved by a version that allowed more. */
export function compileAlert(spec: AlertSpec, sql: CompiledSql, clearAfter: number): RuleAlert {
  const compiled = (text: string | undefined): CompiledTemplate | null =>
    text === undefined ? null : compileTemplate(text, sql);
  const timing = spec.absentSeconds === undefined ? spec : { clearAfterSeconds: 0, ...spec };
  return {
    spec,
    policy: policyOf(timing, clearAfter),
    summary: compileTemplate(spec.summary, sql),
    key: compiled(spec.key),
    value: compiled(spec.value),
    threshold: compiled(spec.threshold),
    labels: Object.entries(spec.labels ?? {}).map(([name, text]) => [name, compileTemplate(text, sql)]),
    clear: compiled(spec.clearWhen === undefined ? undefined : `\${${spec.clearWhen}}`),
  };
}

export interface AlertMessage {
  readonly rule: string;
  readonly thing: string;
  readonly offset: number;
  readonly receivedAt: EpochMs;
  readonly input: SqlInput;
  /** WHERE; undefined where it is undecided. */
  readonly verdict: boolean | undefined;
  readonly about: AboutAlerts;
}

export interface AboutAlerts {
  /** Labels of the thing: its type, groups and attributes. */
  readonly labelsOf: (thing: string) => Readonly<Record<string, string>>;
  /** Of the value that the rule's alert tells, where somebody has said it. */
  readonly unitOf: (rule: string, thing: string) => string | null;
}

/** What a message says to a rule's alert; null: nothing. */
export function readingOf(alert: RuleAlert, message: AlertMessage): AlertReading | null {
  const { rule, thing, offset, receivedAt, input } = message;
  const verdict = verdictOf(alert, message);
  if (verdict === null) return null;
  const { policy } = alert;
  const describe = (): Description => describedBy(alert, message);
  const key = keyOf(alert, input, rule, thing);
  return { rule, key, thing, source: "rule", verdict, offset, receivedAt, policy, describe };
}

/** A sign of life, for a rule that notices silence. */
export function heardOf(alert: RuleAlert, message: AlertMessage, absentSeconds: number): Heard {
  const { rule, thing, offset, receivedAt, input } = message;
  const key = keyOf(alert, input, rule, thing);
  return { rule, key, thing, offset, at: receivedAt, span: absentSeconds * 1000 };
}

/** Of a thing that says nothing: its templates see no message. */
export function describedSilence(alert: RuleAlert, heard: Heard, about: AlertMessage["about"]): Description {
  const { rule, thing, offset, at: receivedAt } = heard;
  const input: SqlInput = {
    topic: "",
    clientId: thing,
    receivedAt,
    payload: new Uint8Array(0),
    json: () => undefined,
  };
  return describedBy(alert, { rule, thing, offset, receivedAt, input, verdict: undefined, about });
}

function verdictOf(
  { clear }: RuleAlert,
  { rule, thing, input, verdict }: AlertMessage,
): AlertReading["verdict"] | null {
  if (verdict === true) return "breach";
  if (clear === null) return verdict === false ? "well" : null;
  const answer = clear.render(input, { thing, rule });
  if (answer === "true") return "well";
  return verdict === undefined && answer === "" ? null : "between";
}

function keyOf({ key }: RuleAlert, input: SqlInput, rule: string, thing: string): string {
  return key === null ? thing : key.render(input, { thing, rule }).slice(0, KEY_CHARS_MAX);
}
const KEY_CHARS_MAX = 256;

function describedBy(alert: RuleAlert, { rule, thing, input, about }: AlertMessage): Description {
  const names = { thing, rule };
  const rendered = (template: CompiledTemplate | null): string | null => template?.render(input, names) ?? null;
  const own = alert.labels.map(([name, template]) => [name, template.render(input, names)] as const);
  const unit = alert.value === null ? null : about.unitOf(rule, thing);
  return {
    severity: alert.spec.severity,
    summary: alert.summary.render(input, names),
    value: withUnit(rendered(alert.value), unit),
    threshold: withUnit(rendered(alert.threshold), unit),
    labels: { ...about.labelsOf(thing), ...Object.fromEntries(own) },
  };
}

/** A template that is more than a number has said its unit itself. */
function withUnit(text: string | null, unit: string | null): string | null {
  return text !== null && unit !== null && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? `${text} ${unit}` : text;
}
