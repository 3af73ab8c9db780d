/** What is configured by documents, put together: rules, and beside them schemas, schedules, endpoints, alert settings and policies. */
import { cronTimes } from "../adapters/cron-times.ts";
import type { Message } from "../base/mod.ts";
import type { Broker } from "../broker/mod.ts";
import type { Log } from "../log/mod.ts";
import type { HotRules, KeyedHash, StoredDocument } from "../rules/mod.ts";
import type { AlertSettings } from "./alert-settings.ts";
import type { MessagePort } from "./api/ports.ts";
import { Endpoints, Schedules } from "./events/mod.ts";
import { Configuration } from "./files/mod.ts";
import type { Foundation } from "./foundation.ts";
import { messageDesk } from "./message-desk.ts";
import { PolicyFiles } from "./policy-files.ts";
import { TopicSchemas } from "./schemas/mod.ts";
import type { Teardown } from "./teardown.ts";

export interface Configured {
  readonly configuration: Configuration;
  readonly schemas: TopicSchemas;
  readonly schedules: Schedules;
  readonly endpoints: Endpoints;
  readonly messages: MessagePort;
}

export interface ConfiguredParts {
  readonly broker: Broker;
  readonly log: Log;
  readonly rules: HotRules;
  readonly alertSettings: AlertSettings;
  /** What is kept beside the rules. */
  readonly stored: readonly StoredDocument[];
  readonly keyedHash: KeyedHash;
}

/** Schemas hold from now on; schedules run. */
export function openConfigured(base: Foundation, parts: ConfiguredParts, teardown: Teardown): Configured {
  const { broker, log, rules, alertSettings, stored, keyedHash } = parts;
  const messages = messageDesk({ broker, log, presence: base.presence });
  const publish = (message: Message): Promise<void> => messages.publish(message);
  const keep = (documents: readonly StoredDocument[]): void => rules.change({ puts: [], deletes: [], documents });
  const schemas = new TopicSchemas({ ...base, broker, stored });
  const schedules = new Schedules({ ...base, cron: cronTimes(), publish, keep, stored });
  const endpoints = new Endpoints({ ...base, publish, keyedHash });
  const kinds = [schemas, schedules, endpoints, alertSettings];
  const elsewhere = [new PolicyFiles(base)];
  const documents = { rules, kinds, elsewhere, stored, keyedHash, logNext: () => log.next };
  const configuration = new Configuration({ ...base, ...documents });
  schedules.start();
  teardown.add("schedules of messages", () => schedules.close());
  return { configuration, schemas, schedules, endpoints, messages };
}
