/** Statements over made-up messages, and a model that computes windows the slow way. */
import { LIMITS, parseJson } from "../../base/mod.ts";
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import { compileSql } from "../../sql/mod.ts";
import type { WindowPlan } from "../../sql/mod.ts";
import { RuleState } from "./rule-state.ts";
import type { Outcome, StateLimits } from "./rule-state.ts";
import type { StateInput } from "./state-input.ts";

/** A whole minute in 2026. */
export const T0 = 1_767_225_600_000;

export interface Reading {
  readonly topic: string;
  readonly thing: string;
  readonly receivedAt: EpochMs;
  readonly json: JsonValue;
}

export function reading(thing: string, second: number, json: JsonValue, topic = `a/${thing}/b`): Reading {
  return { topic, thing, receivedAt: T0 + second * 1000, json };
}

const parse = (payload: Uint8Array): JsonValue | undefined => {
  const result = parseJson(payload, LIMITS.rules);
  return result.ok ? result.value : undefined;
};

export function inputOf({ topic, thing, receivedAt, json }: Reading): StateInput {
  const payload = new TextEncoder().encode(JSON.stringify(json));
  return { topic, clientId: thing, thing, receivedAt, payload, json: () => json, slots: undefined };
}

/** What a rule said, one line each. */
export class Run {
  readonly outcomes: Outcome[] = [];
  readonly state: RuleState;
  readonly plan: WindowPlan;

  constructor(sql: string, limits: Partial<StateLimits> = {}, pageKeys?: number) {
    this.plan = compileSql(sql).windows!;
    this.state = new RuleState({
      plan: this.plan,
      limits: { ...LIMITS.windows, ...limits },
      parse,
      outcome: (outcome) => this.outcomes.push(outcome),
      ...(pageKeys === undefined ? {} : { pageKeys }),
    });
  }

  take(readings: readonly Reading[], from = this.state.position): this {
    for (const [i, one] of readings.entries()) this.state.handle(from + i, inputOf(one));
    return this;
  }

  tick(second: number): this {
    this.state.tick(T0 + second * 1000);
    return this;
  }

  /** Values of what matched since this was asked last. */
  said(): JsonValue[] {
    return this.outcomes.splice(0).flatMap(({ matched, value }) => (matched ? [value as JsonValue] : []));
  }
}
