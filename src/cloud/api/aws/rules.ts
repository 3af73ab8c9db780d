/** Topic rules, in AWS IoT's shapes; our actions (`webhook`, `slack`, `alert`, `telemetry`) stand where AWS has its own. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { arnOf } from "../../../registry/mod.ts";
import { redactRule } from "../../../rules/mod.ts";
import type { RuleDocument } from "../../../rules/mod.ts";
import { TidewireError } from "../../../base/mod.ts";
import { compileSql } from "../../../sql/mod.ts";
import { notFound } from "../errors.ts";
import type { ApiPorts } from "../ports.ts";

const READS = { permission: "rules:read" } as const;
const WRITES = { permission: "rules:write" } as const;

const RuleParameters = z.strictObject({ ruleName: z.string().max(128) });

/** AWS's paging members are taken and left alone: all rules fit one answer. */
const ListRules = z.object({ topic: z.string().max(256).optional(), ruleDisabled: z.stringbool().optional() });

export function ruleRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { rules } = ports;
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const ruleNamed = (name: string): RuleDocument => {
    const rule = rules.get(name);
    if (rule === null) throw notFound("rule", name);
    return rule;
  };

  routes.get("/rules", { config: READS, schema: { querystring: ListRules } }, async (request) => {
    const { topic, ruleDisabled } = request.query;
    const wanted = (topic === undefined ? rules.list() : rules.listFor(topic)).filter(
      (rule) => ruleDisabled === undefined || rule.ruleDisabled === ruleDisabled,
    );
    return { rules: wanted.map(listItemOf) };
  });

  routes.get("/rules/:ruleName", { config: READS, schema: { params: RuleParameters } }, async (request) => {
    const rule = redactRule(ruleNamed(request.params.ruleName));
    return { ruleArn: arnOf.rule(rule.ruleName), rule: { ...rule, createdAt: rule.createdAt / 1000 } };
  });

  // The body is checked by the rules room, whose faults name the action and the key.
  routes.post("/rules/:ruleName", { config: WRITES, schema: { params: RuleParameters } }, async (request) => {
    const { ruleName } = request.params;
    if (rules.get(ruleName) !== null) throw new TidewireError("ALREADY_EXISTS", { kind: "rule", name: ruleName });
    rules.put(ruleName, request.body, ports.logNext());
    return {};
  });

  routes.patch("/rules/:ruleName", { config: WRITES, schema: { params: RuleParameters } }, async (request) => {
    const { ruleName } = request.params;
    ruleNamed(ruleName);
    rules.put(ruleName, request.body, ports.logNext());
    return {};
  });

  routes.post("/rules/:ruleName/enable", { config: WRITES, schema: { params: RuleParameters } }, async (request) => {
    rules.enable(request.params.ruleName, ports.logNext());
    return {};
  });

  routes.post("/rules/:ruleName/disable", { config: WRITES, schema: { params: RuleParameters } }, async (request) => {
    rules.disable(request.params.ruleName);
    return {};
  });

  routes.delete("/rules/:ruleName", { config: WRITES, schema: { params: RuleParameters } }, async (request) => {
    rules.delete(request.params.ruleName);
    return {};
  });
}

function listItemOf(rule: RuleDocument): object {
  return {
    ruleArn: arnOf.rule(rule.ruleName),
    ruleName: rule.ruleName,
    topicPattern: compileSql(rule.sql).filter,
    createdAt: rule.createdAt / 1000,
    ruleDisabled: rule.ruleDisabled,
  };
}
