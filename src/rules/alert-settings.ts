/** How people are told of alerts, as a document: what the `alerts` section of a configuration says. */
import { TidewireError, isJsonObject } from "../base/mod.ts";
import type { JsonObject, JsonValue } from "../base/mod.ts";
import type { SecretChange } from "./actions/kind.ts";
import { mapSecrets } from "./actions/registry.ts";
import type { RuleAction } from "./actions/registry.ts";
import type { CronTimes, Zones } from "./alerts/calendar.ts";
import type { AlertConfig } from "./alerts/config.ts";
import { CONTACT_KEYS } from "./alerts/config.ts";
import { readAlertConfig } from "./rule-alerts.ts";
import { withKeptSecret } from "./validate.ts";

export interface AlertSettingsDocument {
  /** As it is kept: what is shown instead of a secret stands for the one that the same contact point has. */
  readonly document: JsonObject;
  readonly config: AlertConfig<RuleAction>;
}

/** Throws RULE_INVALID; its place begins with `alerts`. */
export function readAlertSettings(
  input: unknown,
  present: JsonObject | null,
  ports: { readonly zones: Zones; readonly cron: CronTimes },
): AlertSettingsDocument {
  const { actions } = readAlertConfig(input, ports);
  const before = new Map(contactsOf(present ?? {}).map((contact) => [contact["name"], actionOf(contact)]));
  const given = input as JsonObject;
  const contacts = contactsOf(given).map((contact, i) => {
    const action = withKeptSecret(
      actions.get(contact["name"] as string)!,
      before.get(contact["name"]),
      `alerts.contacts[${i}]`,
    );
    return withAction(contact, action);
  });
  const document = given["contacts"] === undefined ? given : { ...given, contacts };
  return { document, config: readAlertConfig(document, ports) };
}

/** The document with other secrets. */
export function mapAlertSecrets(document: JsonObject, change: SecretChange): JsonObject {
  if (document["contacts"] === undefined) return document;
  const contacts = contactsOf(document).map((contact) => {
    const action = mapSecrets(actionOf(contact), change);
    return withAction(contact, action);
  });
  return { ...document, contacts };
}

function contactsOf(document: JsonObject): readonly JsonObject[] {
  const { contacts = [] } = document as { readonly contacts?: JsonValue };
  if (Array.isArray(contacts) && contacts.every((one: JsonValue) => isJsonObject(one))) return contacts;
  throw new TidewireError("INTERNAL", { reason: "contact points were not checked" });
}

/** It was checked: one key beside its own says how it is reached. */
function actionOf(contact: JsonObject): RuleAction {
  return pick(contact, (key) => !CONTACT_KEYS.includes(key)) as unknown as RuleAction;
}

function withAction(contact: JsonObject, action: RuleAction): JsonObject {
  return { ...pick(contact, (key) => CONTACT_KEYS.includes(key)), ...(action as unknown as JsonObject) };
}

function pick(object: JsonObject, wants: (key: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => wants(key)));
}
