/** The `alerts` section of the configuration file: contact points, routes, inhibition, maintenance. */
import { z } from "zod";
import { cronTimes } from "../adapters/cron-times.ts";
import { zonedTime } from "../adapters/zoned-time.ts";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Registry } from "../registry/mod.ts";
import { readAlertConfig } from "../rules/mod.ts";
import type { AlertConfig, CronTimes, RuleAction, Zones } from "../rules/mod.ts";

export interface AlertSection {
  /** Null: `webhooks` and `slackWebhooks` alone. */
  readonly alerts: AlertConfig<RuleAction> | null;
  readonly zones: Zones;
  readonly cron: CronTimes;
}

export const AlertsConfigSchema = z.unknown().superRefine((input, context) => {
  try {
    if (input !== undefined) alertSectionOf(input);
  } catch (error) {
    context.addIssue({ code: "custom", message: faultOf(error) });
  }
});

/** Throws RULE_INVALID. */
export function alertSectionOf(input: unknown): AlertSection {
  const [zones, cron] = [zonedTime(), cronTimes()];
  return { alerts: input === undefined ? null : readAlertConfig(input, { zones, cron }), zones, cron };
}

/** Labels of a thing, as routes and silences see them: `thingType`, `attributes.NAME`. */
export function thingLabels(registry: Registry): (thing: string) => Readonly<Record<string, string>> {
  return (name) => {
    const thing = registry.things.find(name);
    if (thing === undefined) return {};
    const attributes = Object.entries(thing.attributes).map(([key, value]) => [`attributes.${key}`, value]);
    const type = thing.thingTypeName;
    return { ...(type === undefined || type === null ? {} : { thingType: type }), ...Object.fromEntries(attributes) };
  };
}

function faultOf(error: unknown): string {
  if (!(error instanceof TidewireError)) return reasonOf(error);
  const { at, reason } = error.details;
  return `at \`${String(at)}\`: ${String(reason)}`;
}
