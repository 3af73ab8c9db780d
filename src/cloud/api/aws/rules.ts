/** Topic rules; our actions (`webhook`, `slack`, `alert`, `telemetry`) stand beside AWS's `http`. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, arnOf } from "../../../base/mod.ts";
import { redactRule } from "../../../rules/mod.ts";
import type { HotRules, RuleDocument } from "../../../rules/mod.ts";
import { DEFAULT_SQL_VERSION, compileSql } from "../../../sql/mod.ts";
import { notFound } from "../errors.ts";
import type { ApiPorts } from "../ports.ts";
import { Page, seconds } from "./fields.ts";
import { slice } from "./pages.ts";
import { tagNew, tagsOfHeader } from "./tags.ts";

const READS = { permission: "rules:read" } as const;
const WRITES = { permission: "rules:write" } as const;

const RulePath = z.object({ ruleName: z.string().max(128) });
const ListRules = Page.extend({ topic: z.string().max(256).optional(), ruleDisabled: z.stringbool().optional() });

export function ruleRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { rules, registry } = ports;
  registry.tags.taggable("rule", (name) => rules.get(name) !== null);
  documentRoutes(app, ports);
  switchRoutes(app, ports);
}

function documentRoutes(app: FastifyInstance, { rules, registry, logNext }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get("/rules", { config: READS, schema: { querystring: ListRules } }, async ({ query }) => {
    const { topic, ruleDisabled, ...page } = query;
    const wanted = (topic === undefined ? rules.list() : rules.listFor(topic)).filter(
      (rule) => ruleDisabled === undefined || rule.ruleDisabled === ruleDisabled,
    );
    const { items, nextToken } = slice(wanted, page);
    return { rules: items.map(summaryOf), nextToken };
  });

  routes.get("/rules/:ruleName", { config: READS, schema: { params: RulePath } }, async ({ params }) => {
    const rule = redactRule(ruleNamed(rules, params.ruleName));
    const { ruleName, createdAt } = rule;
    const document = {
      ...rule,
      createdAt: seconds(createdAt),
      awsIotSqlVersion: rule.awsIotSqlVersion ?? DEFAULT_SQL_VERSION,
    };
    return { ruleArn: arnOf.rule(ruleName), rule: document };
  });

  // The body is checked by the rules room, whose faults name the action and the key.
  routes.post("/rules/:ruleName", { config: WRITES, schema: { params: RulePath } }, async (request) => {
    const { ruleName } = request.params;
    if (rules.get(ruleName) !== null) throw new TidewireError("ALREADY_EXISTS", { kind: "rule", name: ruleName });
    rules.put(ruleName, request.body, logNext());
    tagNew(registry, `rule/${ruleName}`, tagsOfHeader(request.headers["x-amz-tagging"]));
    return {};
  });

  routes.patch("/rules/:ruleName", { config: WRITES, schema: { params: RulePath } }, async ({ params, body }) => {
    ruleNamed(rules, params.ruleName);
    rules.put(params.ruleName, body, logNext());
    return {};
  });

  routes.delete("/rules/:ruleName", { config: WRITES, schema: { params: RulePath } }, async ({ params }) => {
    rules.delete(params.ruleName);
    registry.tags.forget(`rule/${params.ruleName}`);
    return {};
  });
}

function switchRoutes(app: FastifyInstance, { rules, logNext }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.post("/rules/:ruleName/enable", { config: WRITES, schema: { params: RulePath } }, async ({ params }) => {
    rules.enable(params.ruleName, logNext());
    return {};
  });

  routes.post("/rules/:ruleName/disable", { config: WRITES, schema: { params: RulePath } }, async ({ params }) => {
    rules.disable(params.ruleName);
    return {};
  });
}

function ruleNamed(rules: HotRules, name: string): RuleDocument {
  const rule = rules.get(name);
  if (rule === null) throw notFound("rule", name);
  return rule;
}

function summaryOf(rule: RuleDocument): object {
  return {
    ruleArn: arnOf.rule(rule.ruleName),
    ruleName: rule.ruleName,
    topicPattern: compileSql(rule.sql).filter,
    createdAt: seconds(rule.createdAt),
    ruleDisabled: rule.ruleDisabled,
  };
}
