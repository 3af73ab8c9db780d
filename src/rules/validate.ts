/** What a user sends as a rule → a rule, or a fault that names the place. AWS IoT's TopicRulePayload, our actions. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { SQL_VERSIONS, SqlError } from "../sql/mod.ts";
import type { CompiledSql } from "../sql/mod.ts";
import { invalid, only, optionalChoice, optionalText, record, text } from "./actions/checks.ts";
import type { SecretChange } from "./actions/kind.ts";
import { kindOf, mapSecrets, validateAction } from "./actions/registry.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { RuleDocument, RuleDraft } from "./model.ts";
import { statementOf } from "./statement.ts";

const RULE_NAME = /^[a-zA-Z0-9_]{1,128}$/;
const DESCRIPTION_CHARS_MAX = 4096;

/** Throws `TidewireError` RULE_INVALID or RULE_SQL_INVALID. */
export function validateRule(ruleName: string, input: unknown): RuleDraft {
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
  if (statement.windows !== null && actions.some((action) => "telemetry" in action)) {
    throw invalid("actions", "a statement with windows or keyed state cannot store; republish to telemetry/… instead");
  }
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
  checkTemplates(draft, statement);
  return draft;
}

/** Only the statement says which variables there are. */
function checkTemplates({ actions, errorAction }: RuleDraft, statement: CompiledSql): void {
  const check = (action: RuleAction, at: string): void => {
    const { kind, body } = kindOf(action);
    try {
      kind.plan?.(body, statement);
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
    const statement = statementOf(rule);
    const [external] = statement.externals;
    if (external === undefined) return statement;
    const hint = "Put what it would bring into the message, or look it up at the receiver.";
    throw new TidewireError("RULE_SQL_INVALID", { reason: `${external}() has nothing behind it here`, hint });
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
  const keep = (action: RuleAction, old: RuleAction | undefined, at: string): RuleAction => {
    const kept = new Map<string, string>();
    if (old !== undefined) mapSecrets(old, (secret, shown, name) => (kept.set(`${name} ${shown}`, secret), secret));
    return mapSecrets(action, (secret, _, name) => {
      if (!secret.endsWith("***")) return secret;
      const own = kept.get(`${name} ${secret}`);
      if (own === undefined)
        throw invalid(`${at}.${name}`, "it is hidden, and the rule has none here that it could stand for");
      return own;
    });
  };
  const { actions, errorAction } = draft;
  const withActions = {
    ...draft,
    actions: actions.map((action, i) => keep(action, present?.actions[i], `actions[${i}]`)),
  };
  if (errorAction === undefined) return withActions;
  return { ...withActions, errorAction: keep(errorAction, present?.errorAction, "errorAction") };
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
