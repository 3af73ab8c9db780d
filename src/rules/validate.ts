/** What a user sends as a rule → a rule, or a fault that names the place. AWS IoT's TopicRulePayload, our actions. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { SqlError, compileSql, compileTemplate } from "../sql/mod.ts";
import { SEVERITIES } from "./model.ts";
import type { HttpAction, NotifyTarget, RuleAction, RuleDraft, Severity, SlackAction, WebhookAction } from "./model.ts";

const RULE_NAME = /^[a-zA-Z0-9_]{1,128}$/;
/** RFC 9110 section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
/** Visible ASCII and blanks: no line breaks, so no header can be smuggled in. */
const HEADER_VALUE = /^[\x20-\x7e\t]{0,2048}$/;
/** Headers that are ours or the connection's. */
const HEADERS_TAKEN: ReadonlySet<string> = new Set(
  "connection content-length expect host keep-alive te trailer transfer-encoding upgrade webhook-id webhook-timestamp webhook-signature".split(
    " ",
  ),
);
const URL_CHARS_MAX = 2048;
const TEMPLATE_CHARS_MAX = 2048;
const DESCRIPTION_CHARS_MAX = 4096;
const CLEAR_AFTER_SECONDS_MAX = 86_400;

/** Throws `TidewireError` RULE_INVALID or RULE_SQL_INVALID. */
export function validateRule(ruleName: string, input: unknown): RuleDraft {
  if (!RULE_NAME.test(ruleName)) throw invalid("ruleName", "1 to 128 letters, digits and _ are allowed");
  const body = record(input, "the rule");
  only(body, "", ["ruleName", "sql", "description", "ruleDisabled", "actions", "awsIotSqlVersion", "errorAction"]);
  if (body["ruleName"] !== undefined && body["ruleName"] !== ruleName) {
    throw invalid("ruleName", "it differs from the name in the address");
  }
  const version = body["awsIotSqlVersion"] ?? "2016-03-23";
  if (version !== "2016-03-23") throw invalid("awsIotSqlVersion", "only 2016-03-23 is supported");
  const sql = text(body["sql"], "sql", LIMITS.rules.sqlBytesMax);
  checkSql(sql);
  const description = optionalText(body["description"], "description", DESCRIPTION_CHARS_MAX);
  const ruleDisabled = body["ruleDisabled"] ?? false;
  if (typeof ruleDisabled !== "boolean") throw invalid("ruleDisabled", "it must be true or false");
  const actions = validateActions(body["actions"]);
  const given = body["errorAction"];
  return {
    ruleName,
    sql,
    ...(description === undefined ? {} : { description }),
    ruleDisabled,
    actions,
    ...(given === undefined ? {} : { errorAction: validateAction(record(given, "errorAction"), "errorAction") }),
  };
}

/** The `notify` targets of the configuration. */
export function validateNotify(input: unknown, where: string): NotifyTarget {
  const body = record(input, where);
  only(body, where, ["webhook", "slack"]);
  const action = validateAction(body, where);
  if ("webhook" in action || "slack" in action) return action;
  throw invalid(where, "it must be a webhook or slack");
}

function checkSql(sql: string): void {
  try {
    compileSql(sql);
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
  const actions = input.map((action, i) => validateAction(record(action, `actions[${i}]`), `actions[${i}]`));
  if (actions.filter((action) => "alert" in action).length > 1) {
    throw invalid("actions", "a rule raises one kind of alert; write a second rule for the other");
  }
  return actions;
}

function validateAction(action: Record<string, unknown>, where: string): RuleAction {
  const kinds = Object.keys(action);
  if (kinds.length !== 1)
    throw invalid(where, "it must have exactly one key: webhook, http, slack, telemetry or alert");
  const kind = kinds[0]!;
  const at = `${where}.${kind}`;
  if (!["webhook", "http", "slack", "telemetry", "alert"].includes(kind)) {
    throw invalid(at, "this action is not known; there are webhook, http, slack, telemetry and alert");
  }
  const body = record(action[kind], at);
  if (kind === "webhook") return validateWebhook(body, at);
  if (kind === "http") return validateHttp(body, at);
  if (kind === "slack") return validateSlack(body, at);
  if (kind === "telemetry") {
    only(body, at, ["measurement"]);
    const measurement = optionalText(body["measurement"], `${at}.measurement`, LIMITS.telemetry.fieldNameBytesMax);
    return { telemetry: measurement === undefined ? {} : { measurement } };
  }
  return validateAlert(body, at);
}

function validateWebhook(body: Record<string, unknown>, at: string): WebhookAction {
  only(body, at, ["url", "headers", "secret"]);
  const url = validateUrl(body["url"], `${at}.url`);
  const secret = optionalText(body["secret"], `${at}.secret`, 256);
  if (secret !== undefined && secretBytes(secret) === null) {
    throw invalid(`${at}.secret`, "it must be whsec_ and base64 of 24 to 64 bytes");
  }
  const headers = body["headers"] === undefined ? undefined : validateHeaders(body["headers"], `${at}.headers`);
  return {
    webhook: { url, ...(headers === undefined ? {} : { headers }), ...(secret === undefined ? {} : { secret }) },
  };
}

function validateHttp(body: Record<string, unknown>, at: string): HttpAction {
  only(body, at, ["url", "confirmationUrl", "headers"]);
  const url = validateUrl(body["url"], `${at}.url`);
  const { confirmationUrl, headers: given } = body;
  const confirmation =
    confirmationUrl === undefined ? {} : { confirmationUrl: validateUrl(confirmationUrl, `${at}.confirmationUrl`) };
  if (given === undefined) return { http: { url, ...confirmation } };
  if (!Array.isArray(given)) throw invalid(`${at}.headers`, "it must be a list of objects with key and value");
  const pairs = given.map((header, i) => {
    const { key, value } = record(header, `${at}.headers[${i}]`);
    return [text(key, `${at}.headers[${i}].key`, 128), value] as const;
  });
  const headers = Object.entries(validateHeaders(Object.fromEntries(pairs), `${at}.headers`));
  return { http: { url, ...confirmation, headers: headers.map(([key, value]) => ({ key, value })) } };
}

function validateHeaders(input: unknown, at: string): Record<string, string> {
  const entries = Object.entries(record(input, at));
  if (entries.length > 32) throw invalid(at, "at most 32 headers are allowed");
  for (const [name, value] of entries) {
    const where = `${at}.${name.slice(0, 60)}`;
    if (!HEADER_NAME.test(name)) throw invalid(where, "this is not a header name");
    if (HEADERS_TAKEN.has(name.toLowerCase())) throw invalid(where, "Tidewire sets this header itself");
    if (typeof value !== "string" || !HEADER_VALUE.test(value)) {
      throw invalid(where, "it must be text without line breaks, at most 2048 ASCII characters");
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function validateSlack(body: Record<string, unknown>, at: string): SlackAction {
  only(body, at, ["url", "text"]);
  const url = validateUrl(body["url"], `${at}.url`);
  const template = optionalText(body["text"], `${at}.text`, TEMPLATE_CHARS_MAX);
  if (template !== undefined) checkTemplate(template, `${at}.text`);
  return { slack: { url, ...(template === undefined ? {} : { text: template }) } };
}

function validateAlert(body: Record<string, unknown>, at: string): RuleAction {
  only(body, at, ["severity", "summary", "clearAfterSeconds"]);
  const severity = body["severity"];
  if (!SEVERITIES.includes(severity as Severity)) {
    throw invalid(`${at}.severity`, `it must be one of ${SEVERITIES.join(", ")}`);
  }
  const summary = text(body["summary"], `${at}.summary`, TEMPLATE_CHARS_MAX);
  checkTemplate(summary, `${at}.summary`);
  const clear = body["clearAfterSeconds"];
  if (clear === undefined) return { alert: { severity: severity as Severity, summary } };
  if (typeof clear !== "number" || !(clear >= 0) || clear > CLEAR_AFTER_SECONDS_MAX) {
    throw invalid(`${at}.clearAfterSeconds`, `it must be a number from 0 to ${CLEAR_AFTER_SECONDS_MAX}`);
  }
  return { alert: { severity: severity as Severity, summary, clearAfterSeconds: clear } };
}

function checkTemplate(template: string, at: string): void {
  try {
    compileTemplate(template);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw invalid(at, error.reason + (error.hint === null ? "" : ` (${error.hint})`));
  }
}

function validateUrl(input: unknown, at: string): string {
  const url = text(input, at, URL_CHARS_MAX);
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) {
    throw invalid(at, "it must be an http:// or https:// address");
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw invalid(at, "an address with a user or password is refused; use a header");
  }
  parsed.hash = "";
  return parsed.href;
}

/** The key of a Standard Webhooks secret; null where it is not one. */
export function secretBytes(secret: string): Uint8Array | null {
  if (!/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret)) return null;
  try {
    const bytes = Uint8Array.from(atob(secret.slice("whsec_".length)), (c) => c.charCodeAt(0));
    return bytes.length >= 24 && bytes.length <= 64 ? bytes : null;
  } catch {
    return null;
  }
}

function record(input: unknown, at: string): Record<string, unknown> {
  if (typeof input === "object" && input !== null && !Array.isArray(input)) return input as Record<string, unknown>;
  throw invalid(at, "it must be an object");
}

function only(body: Record<string, unknown>, at: string, keys: readonly string[]): void {
  for (const key of Object.keys(body)) {
    if (keys.includes(key)) continue;
    throw invalid(
      at === "" ? key.slice(0, 60) : `${at}.${key.slice(0, 60)}`,
      `it is not known; there are ${keys.join(", ")}`,
    );
  }
}

function text(input: unknown, at: string, charsMax: number): string {
  if (typeof input !== "string" || input === "") throw invalid(at, "it is missing, or not text");
  if (input.length > charsMax) throw invalid(at, `it is longer than ${charsMax} characters`);
  return input;
}

function optionalText(input: unknown, at: string, charsMax: number): string | undefined {
  return input === undefined || input === "" ? undefined : text(input, at, charsMax);
}

function invalid(at: string, reason: string): TidewireError {
  return new TidewireError("RULE_INVALID", { at, reason });
}
