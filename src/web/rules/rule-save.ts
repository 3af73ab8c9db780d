/**
 * Saving a rule without overwriting what somebody else did meanwhile. The platform's lock is on the whole configuration; where
 * it has changed but this rule has not, the change is made on what there is now.
 */
import type { JsonObject } from "../../base/mod.ts";
import type { ConfigurationPlan, RuleDocumentView } from "../../cloud/api/contract.ts";
import { ApiFailure, call } from "../api/client.ts";
import type { CallOptions } from "../api/client.ts";
import { sameDocument } from "./rule-draft.ts";

export type Ask = <T>(path: string, options?: CallOptions) => Promise<T>;

const ATTEMPTS_MAX = 5;

export const CHANGED = {
  code: "CONFIGURATION_CHANGED",
  message: "Somebody else has changed this rule since you opened it.",
  fix: "Copy what you wrote, load the rule again, and make your change on what is there now.",
} as const;

export function rulePath(name: string): string {
  return `api/rules/${encodeURIComponent(name)}`;
}

/** `seen`: what the user looked at. Throws `ApiFailure`, with `CHANGED` where it is not there any more. */
export async function saveRule(name: string, document: JsonObject, seen: JsonObject, ask: Ask = call): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { document: present, revision } = await ask<RuleDocumentView>(`${rulePath(name)}/document`);
    if (!sameDocument(present, seen)) throw new ApiFailure(409, CHANGED);
    try {
      const body = { documents: [{ kind: "rule", name, document }] };
      await ask<ConfigurationPlan>("api/configuration", { method: "PUT", body, ifMatch: revision });
      return;
    } catch (thrown) {
      const raced = thrown instanceof ApiFailure && thrown.error.code === "CONFIGURATION_CHANGED";
      if (!raced || attempt === ATTEMPTS_MAX) throw thrown;
    }
  }
}

/** On or off, whatever else of it has changed. */
export async function switchRule(name: string, on: boolean, ask: Ask = call): Promise<void> {
  const { document } = await ask<RuleDocumentView>(`${rulePath(name)}/document`);
  const { ruleDisabled: _, ...rest } = document;
  await saveRule(name, on ? rest : { ...rest, ruleDisabled: true }, document, ask);
}
