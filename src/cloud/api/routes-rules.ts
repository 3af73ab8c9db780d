/** Rules for people: how they do, what is wrong with one that is being written, and what one would have done. */
import { PassThrough } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, TidewireError, isTidewireError } from "../../base/mod.ts";
import type { JsonObject } from "../../base/mod.ts";
import { describeActions } from "../../rules/mod.ts";
import type { HotRules, RuleDocument, RuleDraft } from "../../rules/mod.ts";
import { SqlError, compileSql } from "../../sql/mod.ts";
import { actorOf, demandPermission } from "./actor.ts";
import type {
  BackTestLine,
  BackTestProgress,
  ExplainAnswer,
  LogLag,
  RuleCheck,
  RuleDetail,
  RuleDocumentView,
  RuleFault,
  RulePage,
  RuleSummary,
} from "./contract.ts";
import { apiErrorOf, incidentOf, notFound, publicErrorOf, tidewireErrorOf } from "./errors.ts";
import type { ApiPorts } from "./ports.ts";
import { PageLimit } from "./schemas.ts";

const READS = { permission: "rules:read" } as const;
/** Nothing is changed, but it costs, and shows what devices have sent. */
const TRIES = { permission: "rules:write", audit: false } as const;
const SHOWS_MESSAGES = { permission: "telemetry:read", audit: false } as const;

const { examplesMax, explainedMax } = LIMITS.backTests;

const Name = z.string().min(1).max(128);
const Params = z.strictObject({ name: Name });
const ListQuery = z.strictObject({
  search: z.string().max(256).optional(),
  after: Name.optional(),
  limit: PageLimit.default(100),
});
// The rules room checks it, and its faults name the key.
const Document = z.custom<JsonObject>((value) => typeof value === "object" && value !== null && !Array.isArray(value));
const Rule = z.union([
  z.string().max(LIMITS.rules.sqlBytesMax),
  z.strictObject({ name: Name, document: Document.optional() }),
]);
const CheckBody = z.strictObject({ name: z.string().max(128), document: Document });
const ExplainBody = z.strictObject({ rule: Rule, limit: z.int().min(1).max(explainedMax).default(explainedMax) });
const Time = z.int().min(0);
const TestBody = z.strictObject({
  rule: Rule,
  against: Rule.optional(),
  since: Time,
  until: Time.optional(),
  thing: z.string().min(1).max(128).optional(),
  examples: z.int().min(0).max(examplesMax).default(5),
});

const bodyLimit = LIMITS.files.changeBytesMax;

export function ruleViewRoutes(app: FastifyInstance, ports: ApiPorts): void {
  lookRoutes(app, ports);
  tryRoutes(app, ports);
}

function lookRoutes(app: FastifyInstance, { rules, configuration, lag }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    "/api/rules",
    { config: READS, schema: { querystring: ListQuery } },
    async ({ query }): Promise<RulePage> => {
      const { search = "", after = "", limit } = query;
      const found = rules.list().filter((rule) => speaksOf(rule, search.trim().toLowerCase()));
      const page = found.filter(({ ruleName }) => ruleName > after).slice(0, limit + 1);
      const shown = page.slice(0, limit);
      const next = page.length > limit ? shown.at(-1)!.ruleName : null;
      return { rules: shown.map((rule) => summaryOf(rules, rule)), total: found.length, next };
    },
  );

  routes.get(
    "/api/rules/:name",
    { config: READS, schema: { params: Params } },
    async ({ params }): Promise<RuleDetail> => {
      const rule = ruleNamed(rules, params.name);
      const { ruleName, createdAt } = rule;
      const behind = await behindOf(rule, rules, lag);
      return { ...summaryOf(rules, rule), createdAt, behind, receivers: rules.receivers(ruleName) };
    },
  );

  routes.get(
    "/api/rules/:name/document",
    { config: READS, schema: { params: Params } },
    async ({ params }): Promise<RuleDocumentView> => {
      ruleNamed(rules, params.name);
      return { document: configuration.shown("rule", params.name)!, revision: configuration.revision };
    },
  );

  routes.post(
    "/api/rules/check",
    { config: READS, bodyLimit, schema: { body: CheckBody } },
    async ({ body: { name, document } }): Promise<RuleCheck> => {
      try {
        const { sql, awsIotSqlVersion: version } = rules.check(name, document);
        const { filter, windows } = compileSql(sql, version === undefined ? {} : { version });
        return { fault: null, filter, stateful: windows !== null };
      } catch (error) {
        return { fault: faultOf(error), filter: null, stateful: false };
      }
    },
  );
}

function tryRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { rules, clock, backTester } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post(
    "/api/rules/explain",
    { config: SHOWS_MESSAGES, bodyLimit, schema: { body: ExplainBody } },
    async (request, reply): Promise<ExplainAnswer> => {
      demandPermission(actorOf(request), "rules:read");
      const { rule, limit } = request.body;
      const mayLookUp = actorOf(request).permissions.has("rules:write");
      return backTester.explain({ rule: draftOf(rules, rule), count: limit }, mayLookUp, whileConnected(reply));
    },
  );

  routes.post(
    "/api/rules/back-test",
    { config: TRIES, bodyLimit, schema: { body: TestBody } },
    async (request, reply) => {
      const { rule, against, since: from, until, thing = null, examples } = request.body;
      const to = until ?? clock.now();
      if (from >= to)
        throw new TidewireError("REQUEST_INVALID", { reason: "since must lie before until, and before now" });
      const order = {
        rule: draftOf(rules, rule),
        against: against === undefined ? null : draftOf(rules, against),
        from,
        to,
        untilNow: until === undefined,
        thing,
        examples,
      };
      return reply.type("application/x-ndjson").send(await streamed(ports, order, whileConnected(reply)));
    },
  );
}

type TestOrder = Parameters<ApiPorts["backTester"]["test"]>[0];

/** Resolves with the first line, so that what is refused is refused with its status. What fails later is the last line. */
function streamed(ports: ApiPorts, order: TestOrder, signal: AbortSignal): Promise<PassThrough> {
  const answer = new PassThrough();
  const write = (line: BackTestLine): void => void answer.write(`${JSON.stringify(line)}\n`);
  return new Promise((resolve, reject) => {
    const run = async (): Promise<void> => {
      try {
        const result = await ports.backTester.test(order, progressed, signal);
        write({ result });
        resolve(answer);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
        write({ error: apiErrorOf(publicErrorOf(tidewireErrorOf(error), incidentOf(ports))) });
      }
      answer.end();
    };
    const progressed = (progress: BackTestProgress): void => {
      // Who reads slowly hears of less; nothing piles up.
      if (!answer.writableNeedDrain) write({ progress });
      resolve(answer);
    };
    void run();
  });
}

/** Aborted when the client goes away. */
function whileConnected(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort(new TidewireError("BACK_TEST_FAILED", { reason: "nobody waits for it" })));
  return gone.signal;
}

type GivenRule = z.infer<typeof Rule>;

/** Throws RULE_INVALID, RULE_SQL_INVALID, NOT_FOUND. */
function draftOf(rules: HotRules, given: GivenRule): RuleDraft {
  if (typeof given === "string") return rules.check("statement", { sql: given, actions: [] });
  const { name, document } = given;
  return document === undefined ? ruleNamed(rules, name) : rules.check(name, { actions: [], ...document });
}

function ruleNamed(rules: HotRules, name: string): RuleDocument {
  const rule = rules.get(name);
  if (rule === null) throw notFound("rule", name);
  return rule;
}

function speaksOf({ ruleName, sql, description = "" }: RuleDocument, words: string): boolean {
  return words === "" || `${ruleName}\n${sql}\n${description}`.toLowerCase().includes(words);
}

/** Of a rule that stores and does other things as well: the one that is further behind. */
async function behindOf(rule: RuleDocument, rules: HotRules, lag: ApiPorts["lag"]): Promise<LogLag | null> {
  if (rule.ruleDisabled) return null;
  const positions = [
    ...(rules.activity(rule.ruleName) === null ? [] : [rules.positionOf(rule.ruleName)]),
    ...(rule.actions.some((action) => "telemetry" in action) ? [lag.stored()] : []),
  ];
  return positions.length === 0 ? null : lag.at(Math.min(...positions));
}

function summaryOf(rules: HotRules, rule: RuleDocument): RuleSummary {
  const { ruleName, description = null, sql, ruleDisabled } = rule;
  const activity = rules.activity(ruleName);
  return { name: ruleName, description, sql, disabled: ruleDisabled, ...describeActions(rule), activity };
}

/** What is wrong with what somebody writes. Throws what is not about that. */
function faultOf(error: unknown): RuleFault {
  const nowhere = { line: null, column: null, position: null };
  if (!isTidewireError(error)) throw error;
  const { code, cause, details, fix } = error;
  if (code === "RULE_SQL_INVALID") {
    if (!(cause instanceof SqlError)) {
      return { at: "sql", reason: String(details["reason"]), hint: fix, ...nowhere };
    }
    const { line, column, position, reason, hint } = cause;
    return { at: "sql", reason, hint, line, column, position };
  }
  if (code !== "RULE_INVALID") throw error;
  return { at: String(details["at"]), reason: String(details["reason"]), hint: null, ...nowhere };
}
