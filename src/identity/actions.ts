/** Actions of AWS IoT policies. Source: AWS IoT developer guide, "policy actions". */
import { compileGlob } from "./glob.ts";
import { parseTemplate } from "./template.ts";

/** The actions that MQTT asks about, in the order of their bits. */
export const MQTT_ACTIONS = ["Connect", "Publish", "Subscribe", "Receive", "RetainPublish"] as const;
export type MqttAction = (typeof MQTT_ACTIONS)[number];

/** The actions that a device's HTTPS requests ask about; their bits follow. */
export const DATA_ACTIONS = [
  "GetThingShadow",
  "UpdateThingShadow",
  "DeleteThingShadow",
  "ListNamedShadowsForThing",
  "GetRetainedMessage",
  "ListRetainedMessages",
  "DeleteConnection",
] as const;
export type DataAction = (typeof DATA_ACTIONS)[number];

export type PolicyAction = MqttAction | DataAction;
const ACTIONS: readonly PolicyAction[] = [...MQTT_ACTIONS, ...DATA_ACTIONS];

/** Actions of other services' devices; accepted, and without effect. */
const OTHER_ACTIONS = [
  "DescribeJobExecution",
  "GetPendingJobExecutions",
  "UpdateJobExecution",
  "StartNextPendingJobExecution",
  "StartCommandExecution",
  "AssumeRoleWithCertificate",
  "DescribeCertificate",
];

export type ActionResult =
  /** `mask`: bit n is `ACTIONS[n]`. */
  { readonly ok: true; readonly mask: number } | { readonly ok: false; readonly reason: string };

export function parseAction(text: string): ActionResult {
  if (text === "*") return { ok: true, mask: (1 << ACTIONS.length) - 1 };
  const match = /^([a-z0-9-]+):([a-z0-9*?]+)$/i.exec(text);
  if (match === null) return { ok: false, reason: `'${text}' is not of the form iot:Publish` };
  const [, service = "", name = ""] = match;
  if (service.toLowerCase() !== "iot") return { ok: true, mask: 0 };
  const template = parseTemplate(name.toLowerCase());
  if (!template.ok) return template;
  const glob = compileGlob(template.pieces);
  let mask = 0;
  for (const [bit, action] of ACTIONS.entries()) if (glob.matches(action.toLowerCase())) mask |= 1 << bit;
  if (mask === 0 && !OTHER_ACTIONS.some((action) => glob.matches(action.toLowerCase()))) {
    return {
      ok: false,
      reason: `'${text}' is not an action of AWS IoT (${MQTT_ACTIONS.map((a) => `iot:${a}`).join(", ")} …)`,
    };
  }
  return { ok: true, mask };
}

export function actionBit(action: PolicyAction): number {
  return 1 << ACTIONS.indexOf(action);
}
