/** What a user sends as a rule → a rule, or a fault that names the place. AWS IoT's TopicRulePayload, our actions. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { Externals, SQL_VERSIONS, SqlError } from "../sql/mod.ts";
import type { AskedCall, CompiledSql, SqlEnvironment } from "../sql/mod.ts";
import { invalid, only, optionalChoice, optionalText, record, text } from "./actions/checks.ts";
import type { SecretChange } from "./actions/kind.ts";
import { kindOf, mapSecrets, validateAction } from "./actions/registry.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { RuleDocument, RuleDraft } from "./model.ts";
import { compileAlert } from "./alerts/rule-alert.ts";
import { asScope } from "./sends.ts";
import { statementOf } from "./statement.ts";

const RULE_NAME = /^[a-zA-Z0-9_]{1,128}$/;
const DESCRIPTION_CHARS_MAX = 4096;

/** Says what can be answered; without it nothing can. */
export type Answering = Pick<SqlEnvironment, "unanswerable">;

/** Throws `TidewireError` RULE_INVALID or RULE_SQL_INVALID. */
export function validateRule(ruleName: string, input: unknown, answering: Answering = {}): RuleDraft {
  if (!RULE_NAME.test(ruleName)) throw invalid("ruleName", "1 to 128 letters, digits and _ are allowed");
  const body = record(input, "the rule");
  only(body, "", ["ruleName", "sql", "description", "ruleDisabled", "actions", "awsIotSqlVersion", "errorAction"]);
  if (body["ruleName"] !== undefined && body["ruleName"] !== ruleName) {
    throw invalid("ruleName", "it differs from the name in the address");
  }
  const awsIotSqlVersion = optionalChoice(body["awsIotSqlVersion"], "awsIotSqlVersion", SQL_VERSIONS);
  const version = awsIotSqlVersion === undefined ? {} : { awsIotSqlVersion };
  const sql = text(body["sql"], "sql", LIMITS.rules.sqlBytesMax);
  const statement = checkSql({ sql, ...version });
  const description = optionalText(body["description"], "description", DESCRIPTION_CHARS_MAX);
  const ruleDisabled = body["ruleDisabled"] ?? false;
  if (typeof ruleDisabled !== "boolean") throw invalid("ruleDisabled", "it must be true or false");
  const actions = validateActions(body["actions"]);
  if (actions.some((action) => "telemetry" in action)) checkStores(statement);
  const given = body["errorAction"];
  const draft: RuleDraft = {
    ruleName,
    sql,
    ...version,
    ...(description === undefined ? {} : { description }),
    ruleDisabled,
    actions,
    ...(given === undefined ? {} : { errorAction: validateAction(given, "errorAction") }),
  };
  const calls = new Externals();
  checkTemplates(draft, statement, calls);
  for (const call of [...statement.asked, ...calls.asked]) checkCall(call, answering);
  return draft;
}

/** The store reads the log by itself, a batch at a time, and neither waits nor keeps state. */
function checkStores({ windows, externals }: CompiledSql): void {
  const what = windows !== null ? "with windows or keyed state" : externals.length > 0 ? "that asks" : null;
  if (what !== null) throw invalid("actions", `a statement ${what} cannot store; republish to telemetry/… instead`);
}

function checkCall(call: AskedCall, answering: Answering): void {
  const fault =
    answering.unanswerable === undefined
      ? { reason: "has nothing behind it here", fix: "Put what it would bring into the message." }
      : answering.unanswerable(call);
  if (fault === null) return;
  throw new TidewireError("RULE_SQL_INVALID", { reason: `${call.name}() ${fault.reason}`, hint: fault.fix });
}

/** Only the statement says which variables there are. */
function checkTemplates({ actions, errorAction }: RuleDraft, statement: CompiledSql, calls: Externals): void {
  const asking = asScope(statement, calls);
  const check = (action: RuleAction, at: string): void => {
    const { kind, body } = kindOf(action);
    try {
      // What an error action says was decided when the message came: it asks nothing more.
      kind.plan?.(body, at === "errorAction" ? statement : asking);
      if ("alert" in action) compileAlert(action.alert, statement, 0);
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      throw invalid(at, error.reason + (error.hint === null ? "" : ` (${error.hint})`));
    }
  };
  for (const [i, action] of actions.entries()) check(action, `actions[${i}]`);
  if (errorAction !== undefined) check(errorAction, "errorAction");
}

function checkSql(rule: Pick<RuleDraft, "sql" | "awsIotSqlVersion">): CompiledSql {
  try {
    return statementOf(rule);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const hint = error.hint ?? "Correct the statement at the marked place.";
    const excerpt = error.hint === null ? error.message : error.message.slice(0, -error.hint.length - 1);
    throw new TidewireError("RULE_SQL_INVALID", { reason: excerpt, hint }, { cause: error });
  }
}

function validateActions(input: unknown): RuleAction[] {
  if (!Array.isArray(input)) throw invalid("actions", "it must be a list");
  const { actionsPerRuleMax } = LIMITS.rules;
  if (input.length > actionsPerRuleMax) throw invalid("actions", `at most ${actionsPerRuleMax} are allowed`);
  const actions = input.map((action, i) => validateAction(action, `actions[${i}]`));
  if (actions.filter((action) => "alert" in action).length > 1) {
    throw invalid("actions", "a rule raises one kind of alert; write a second rule for the other");
  }
  return actions;
}

/** What is shown instead of a secret was shown to whoever sends it back: it stands for the one that the rule has there. */
export function withKeptSecrets(draft: RuleDraft, present: RuleDraft | undefined): RuleDraft {
  const { actions, errorAction } = draft;
  const withActions = {
    ...draft,
    actions: actions.map((action, i) => withKeptSecret(action, present?.actions[i], `actions[${i}]`)),
  };
  if (errorAction === undefined) return withActions;
  return { ...withActions, errorAction: withKeptSecret(errorAction, present?.errorAction, "errorAction") };
}

/** Likewise of one action; `present`: the one in its place. */
export function withKeptSecret(action: RuleAction, present: RuleAction | undefined, at: string): RuleAction {
  const kept = new Map<string, string>();
  if (present !== undefined)
    mapSecrets(present, (secret, shown, name) => (kept.set(`${name} ${shown}`, secret), secret));
  return mapSecrets(action, (secret, _, name) => {
    if (!secret.endsWith("***")) return secret;
    const own = kept.get(`${name} ${secret}`);
    if (own === undefined)
      throw invalid(`${at}.${name}`, "it is hidden, and there is none here that it could stand for");
    return own;
  });
}

/** A copy that may be shown: secrets are replaced by what may be seen of them, mostly `***`. */
export function redactRule(rule: RuleDocument): RuleDocument {
  return mapRuleSecrets(rule, (_, shown) => shown);
}

export function mapRuleSecrets(rule: RuleDocument, change: SecretChange): RuleDocument {
  const { actions, errorAction } = rule;
  const changed = { ...rule, actions: actions.map((action) => mapSecrets(action, change)) };
  return errorAction === undefined ? changed : { ...changed, errorAction: mapSecrets(errorAction, change) };
}
