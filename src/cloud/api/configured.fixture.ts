/** Rules and what else documents configure, over their real store; only the broker is played. */
import { join } from "node:path";
import { cronTimes } from "../../adapters/cron-times.ts";
import { NodeOutgoingHttp, hmacSha256 } from "../../adapters/outgoing-http.ts";
import { sealingWith } from "../../adapters/sealing.ts";
import { Rasteriser } from "../../adapters/rasteriser.ts";
import { openSenders } from "../../adapters/senders/mod.ts";
import { SqliteRulesStore } from "../../adapters/sqlite/rules-store.ts";
import type { Clock, Logger, Message, Metrics, Random, Scheduler } from "../../base/mod.ts";
import { HotRules, defaultRules } from "../../rules/mod.ts";
import type { KeyedHash, StoredDocument } from "../../rules/mod.ts";
import { Pictures } from "../pictures/mod.ts";
import { Endpoints, Schedules } from "../events/mod.ts";
import { Configuration } from "../files/mod.ts";
import { TopicSchemas } from "../schemas/mod.ts";
import { PlayedMessages } from "./played-messages.fixture.ts";

interface Ports {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export async function openRules(folder: string, ports: Ports) {
  const sealing = sealingWith(new Uint8Array(32).fill(6));
  const keyedHash: KeyedHash = (text) => sealing.hmac(text);
  const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing });
  const http = new NodeOutgoingHttp();
  const senders = openSenders({ http, hmacSha256, clock: ports.clock, folder: null });
  const rasteriser = new Rasteriser();
  const pictures = new Pictures({ ...ports, keyedHash, rasterise: (svg) => rasteriser.png(svg) });
  const rules = new HotRules({ ...ports, store, senders, keyedHash, pictures, defaults: defaultRules() });
  await rules.start();
  const configured = configure(ports, rules, store.documents(), keyedHash);
  const close = async (): Promise<void> => {
    await configured.schedules.close();
    await rules.close();
    store.close();
    http.close();
    await rasteriser.close();
  };
  return { rules, pictures, configured, close };
}

function configure(ports: Ports, rules: HotRules, stored: readonly StoredDocument[], keyedHash: KeyedHash) {
  const messages = new PlayedMessages();
  const publish = (message: Message): Promise<void> => messages.publish(message);
  const keep = (documents: readonly StoredDocument[]): void => rules.change({ puts: [], deletes: [], documents });
  const schemas = new TopicSchemas({ ...ports, stored, broker: { examine: () => () => {} } });
  const schedules = new Schedules({ ...ports, cron: cronTimes(), stored, publish, keep });
  const endpoints = new Endpoints({ ...ports, keyedHash, publish });
  const kinds = [schemas, schedules, endpoints];
  const documents = { rules, kinds, elsewhere: [], stored, keyedHash, logNext: () => 42 };
  const configuration = new Configuration({ ...ports, ...documents });
  return { configuration, schemas, schedules, endpoints, messages };
}
