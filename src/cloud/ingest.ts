/** The way of a message: broker, durable log, and the two consumers of the log: hot rules here, the store beside us. */
import { join } from "node:path";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { parsePostgresUrl } from "../adapters/postgres/server-url.ts";
import { NodeOutgoingHttp, hmacSha256 } from "../adapters/outgoing-http.ts";
import { sealingWith } from "../adapters/sealing.ts";
import { Rasteriser } from "../adapters/rasteriser.ts";
import { openBuckets } from "./buckets.ts";
import { openSenders } from "../adapters/senders/mod.ts";
import { SqliteBrokerState } from "../adapters/sqlite/broker-state.ts";
import { SqliteRulesStore } from "../adapters/sqlite/rules-store.ts";
import { SqliteShadowStore } from "../adapters/sqlite/shadow-store.ts";
import { VERSION } from "../adapters/version.ts";
import { ForgottenThings, seconds } from "../base/mod.ts";
import type { EpochMs, Message } from "../base/mod.ts";
import { Broker } from "../broker/mod.ts";
import type { Journal, Publisher, Service } from "../broker/mod.ts";
import { Log } from "../log/mod.ts";
import type { PresenceBook } from "../registry/mod.ts";
import { HotRules, defaultRules } from "../rules/mod.ts";
import type { KeyedHash, RuleAction, Sender, StoredDocument } from "../rules/mod.ts";
import type { SqlEnvironment } from "../sql/mod.ts";
import { openAnswers } from "./answers/mod.ts";
import { openConfigured } from "./configured.ts";
import type { Configured } from "./configured.ts";
import { Pictures } from "./pictures/mod.ts";
import type { PictureSources } from "./pictures/mod.ts";
import { RepublishSender } from "./republish-sender.ts";
import { AlertSettings } from "./alert-settings.ts";
import { alertSectionOf, thingLabels } from "./alerts-config.ts";
import { readingAgain, rulesConsumer } from "./rules-consumer.ts";
import type { PlatformConfig } from "./config.ts";
import type { Foundation } from "./foundation.ts";
import { auditDevices } from "./device-audit.ts";
import { evictOnChange } from "./gatekeeper.ts";
import { LogJournal } from "./journal.ts";
import { openEntrance } from "./entrance.ts";
import { archiveOrderOf } from "./archive-config.ts";
import { parseDiskRoom, parseRetention } from "../telemetry/mod.ts";
import {
  JustInTime,
  SHADOW_ANSWERS,
  openProvisioning,
  provisioningService,
  publishAuditCheckpoints,
  publishLifeCycleEvents,
  startShadows,
} from "./services/mod.ts";
import type { Provisioning, ShadowService } from "./services/mod.ts";
import { StoreClient } from "./store/mod.ts";
import { skipForgotten } from "../wire/record/mod.ts";
import { ForgetBook, Forgetter } from "./forget/mod.ts";
import type { ForgetterOptions, Remains } from "./forget/mod.ts";
import { RuleMover } from "./moves/mod.ts";
import { copiesIn } from "./forget/copies.ts";
import { backupsOf } from "./schedule/mod.ts";
import type { TopicSchemas } from "./schemas/mod.ts";
import type { Teardown } from "./teardown.ts";

export interface Ingest {
  readonly log: Log;
  readonly broker: Broker;
  readonly rules: HotRules;
  readonly pictures: Pictures;
  /** Answers what rules ask. */
  readonly external: NonNullable<SqlEnvironment["external"]>;
  readonly configured: Configured;
  readonly store: StoreClient;
  /** Resolves when the store has what the log has, rejects where it cannot start. */
  readonly storeReady: Promise<void>;
  readonly forgetter: Forgetter;
  readonly mover: RuleMover;
  readonly provisioning: Provisioning;
  readonly justInTime: JustInTime;
  readonly shadows: ShadowService;
  /** When the newest message of the log was received; null in an empty log. */
  readonly newestRecordAt: EpochMs | null;
}

export async function startIngest(config: PlatformConfig, base: Foundation, teardown: Teardown): Promise<Ingest> {
  // The rules start before the log and the broker, into which they republish.
  let publishing: { readonly log: Log; readonly broker: Broker } | null = null;
  const republish = new RepublishSender({
    ...base,
    broker: () => publishing?.broker ?? null,
    log: () => publishing!.log,
    limits: base.limits.mqtt,
  });
  let shadows: ShadowService | null = null;
  const own = { republish, shadows: () => shadows };
  const opened = await openRules(config, base, own, teardown);
  const { rules, pictures, alertSettings, external, documents, keyedHash } = opened;
  const resumeRulesAt = await rules.start();
  teardown.add("rules", () => rules.close());
  const state = new SqliteBrokerState(join(config.data, "broker.db"), base.logger);
  teardown.add("broker state", () => state.close());
  const shadowStore = new SqliteShadowStore({ path: join(config.data, "shadows.db"), logger: base.logger });
  teardown.add("shadows' store", () => shadowStore.close());
  const consumed = Math.max(rules.known, state.appliedOffset(), shadowStore.position() ?? 0);
  const log = await openLog(config, base, consumed);
  teardown.add("log", () => log.close());
  const book = await ForgetBook.open(join(config.data, "forgotten.json"), base.logger);
  const forgotten = new ForgottenThings(book.inLog(log.identity));
  const journal = new LogJournal({ log, forgotten, ...base });
  const newestRecordAt = await journal.newestAt();

  const store = openStore(config, base, log);
  let schemas: Pick<TopicSchemas, "unitOf"> | null = null;
  pictures.open(sourcesOfPictures(rules, store, alertSettings, () => schemas));
  Forgetter.tell({ book, forgotten, log, store });
  const storeReady = startStore(store, log, rules, teardown);
  const skips = skipForgotten(forgotten);
  const hot = rulesConsumer(rules, base.logger, skips);
  teardown.add("rules' filter", hot.close);
  const consumer = log.consume(resumeRulesAt, (batch) => hot.take(batch) ?? undefined, "rules");
  teardown.add("rules' consumer", () => consumer.close());
  const provisioning = openDevices(config, base, teardown);
  const services = [SHADOW_ANSWERS, provisioningService({ ...base, ...provisioning })];
  const broker = await openBroker(config, base, watched(journal, base.presence), state, services, teardown);
  teardown.add("checkpoints of the audit log", publishAuditCheckpoints({ ...base, broker }));
  const publish = (message: Message): void => void broker.publishLocal(message);
  const justInTime = new JustInTime({ ...base, ...provisioning, publish });
  teardown.add("just-in-time registration", () => justInTime.close());
  publishing = { log, broker };
  const configured = openConfigured(
    base,
    { broker, log, rules, alertSettings, stored: documents, keyedHash },
    teardown,
  );
  schemas = configured.schemas;
  shadows = startShadows({ base, store: shadowStore, log, broker, skips }, teardown);
  rules.follow(() => log.next, readingAgain(log, base.logger, skips)); // all that they ask is there now
  teardown.add("what rules ask", () => rules.unfollow());
  const forgetter = openForgetter(config, base, { book, forgotten, log, store, broker, rules, shadows });
  const mover = new RuleMover({ rules, log, forgotten, ...base });
  await forgetter.start();
  teardown.add("forgetting", () => forgetter.close());
  provisioning.registration.tasks.resume();
  void justInTime.start();
  const parts = { log, broker, rules, pictures, external, configured, store, provisioning, justInTime, shadows };
  return { ...parts, storeReady, forgetter, mover, newestRecordAt };
}

function openForgetter(
  { data, backup, registry }: PlatformConfig,
  base: Foundation,
  parts: Pick<ForgetterOptions, "book" | "forgotten" | "log" | "store" | "broker" | "rules" | "shadows">,
): Forgetter {
  const copies = (at: EpochMs): Promise<readonly Remains[]> => copiesIn(data, backupsOf(backup), at, base);
  return new Forgetter({
    ...base,
    ...parts,
    departures: base.provisioningStore,
    shared: registry !== "sqlite",
    copies,
  });
}

/** Resolves when it has what the log has; meanwhile it is told of what comes. */
function startStore(store: StoreClient, log: Log, rules: HotRules, teardown: Teardown): Promise<void> {
  const ready = store.start();
  ready.catch(() => {}); // awaited later; until then a failure must not count as unhandled
  teardown.add("store", () => store.close());
  const tell = (): void => store.setRules(rules.list());
  tell();
  teardown.add("rules to the store", rules.onRulesChange(tell));
  const cancel = log.onDurable((durable) => store.durable(durable));
  teardown.add("log to the store", cancel);
  store.durable(log.durable);
  return ready;
}

function openDevices({ data, buckets }: PlatformConfig, base: Foundation, teardown: Teardown) {
  const sealing = sealingWith(base.secrets.sessionKey);
  const provisioning = openProvisioning({
    ...base,
    store: base.provisioningStore,
    failures: base.failures?.ofJoinCodes,
    folder: data,
    buckets,
    hmac: (text) => sealing.hmac(text),
  });
  teardown.add("provisioning", () => provisioning.close());
  return provisioning;
}

interface OpenRules {
  readonly rules: HotRules;
  readonly pictures: Pictures;
  readonly alertSettings: AlertSettings;
  readonly external: NonNullable<SqlEnvironment["external"]>;
  /** What is kept beside them. */
  readonly documents: readonly StoredDocument[];
  readonly keyedHash: KeyedHash;
}

interface OwnParts {
  readonly republish: Sender;
  readonly shadows: () => ShadowService | null;
}

async function openRules(
  config: PlatformConfig,
  base: Foundation,
  { republish, shadows }: OwnParts,
  teardown: Teardown,
): Promise<OpenRules> {
  const sealing = sealingWith(base.secrets.sessionKey);
  const path = join(config.data, "rules.db");
  const store = new SqliteRulesStore({ path, sealing, logger: base.logger, limits: base.limits.rules });
  teardown.add("rules' store", () => store.close());
  const http = new NodeOutgoingHttp();
  teardown.add("outgoing HTTP", () => http.close());
  const notify: RuleAction[] = [
    ...config.webhooks.map((url) => ({ webhook: { url } })),
    ...config.slackWebhooks.map((url) => ({ slack: { url } })),
  ];
  const keyedHash: KeyedHash = (text) => sealing.hmac(text);
  const section = alertSectionOf(config.alerts);
  const documents = store.documents();
  const alertSettings = new AlertSettings({ section, stored: documents, sealing, logger: base.logger });
  const rasteriser = new Rasteriser();
  teardown.add("pictures", () => rasteriser.close());
  const pictures = new Pictures({ ...base, keyedHash, rasterise: (svg) => rasteriser.png(svg) });
  const environment = await openAnswers(config, base, { http, shadows }, teardown);
  const rules = new HotRules({
    ...base,
    pictures,
    limits: base.limits.rules,
    store,
    senders: openSenders({
      http,
      hmacSha256,
      clock: base.clock,
      folder: {
        spool: join(config.data, "spool"),
        programs: join(config.data, "programs"),
        certificates: join(config.data, "certificates"),
      },
      buckets: openBuckets(config.buckets, base.limits, base),
      republish: () => republish,
    }),
    keyedHash,
    environment,
    notify,
    ...section,
    alerts: alertSettings.config,
    aboutThing: thingLabels(base.registry),
    unitOfAlert: (rule, thing) => pictures.unitOf(rule, thing),
    defaults: defaultRules(),
  });
  alertSettings.follow(rules);
  return {
    rules,
    pictures,
    alertSettings,
    external: (request) => environment.external!(request),
    documents,
    keyedHash,
  };
}

function sourcesOfPictures(
  rules: HotRules,
  store: StoreClient,
  { zone }: { readonly zone: () => string },
  schemas: () => Pick<TopicSchemas, "unitOf"> | null,
): PictureSources {
  return {
    zone,
    unit: (thing, { measurement, field }) => schemas()?.unitOf(thing, measurement, field) ?? null,
    alert: (id) => rules.alerts.get(id).alert,
    rule: (name) => rules.get(name),
    query: (query) => store.query(query),
  };
}

async function openLog(config: PlatformConfig, base: Foundation, nextAtLeast: number): Promise<Log> {
  const directory = await openLogDirectory(join(config.data, "log"));
  return Log.open({ ...base, directory, crc32: fileCrc32, limits: base.limits.log, nextAtLeast });
}

function openStore(config: PlatformConfig, base: Foundation, log: Log): StoreClient {
  void log; // the store reads the log's segments itself; it must be open first, because opening it repairs its end
  return new StoreClient({
    ...base,
    databasePath: join(config.data, "telemetry.duckdb"),
    postgres: config.telemetry === "duckdb" ? null : parsePostgresUrl(config.telemetry),
    logFolder: join(config.data, "log"),
    archive: archiveOrderOf(config.archive, config.data),
    limits: base.limits,
    keeping: { retention: parseRetention(config.telemetryRetention), room: parseDiskRoom(config.telemetryRoom) },
  });
}

/** A thing that publishes is alive; noted where the message is taken, before anybody else looks at it. */
function watched(journal: LogJournal, presence: PresenceBook): Journal {
  return {
    append: (topic, view, publisher: Publisher, receivedAt, identified) => {
      const offset = journal.append(topic, view, publisher, receivedAt, identified);
      if (publisher.thing !== null && publisher.isInside !== true) presence.seen(publisher.thing);
      return offset;
    },
    appendMessage: (message, patient) => journal.appendMessage(message, patient),
    hurry: (offset) => journal.hurry(offset),
    appendNote: (note) => journal.appendNote(note),
    get durable() {
      return journal.durable;
    },
    onDurable: (listener) => journal.onDurable(listener),
    read: (offset) => journal.read(offset),
    replay: (from) => journal.replay(from),
  };
}

async function openBroker(
  config: PlatformConfig,
  base: Foundation,
  journal: Journal,
  state: SqliteBrokerState,
  services: readonly Service[],
  teardown: Teardown,
): Promise<Broker> {
  const { registry, presence, scheduler, logger } = base;
  const entrance = openEntrance(config, base, teardown);
  const broker = new Broker({
    ...base,
    journal,
    state,
    gatekeeper: entrance.gatekeeper,
    limits: base.limits.mqtt,
    onRefusal: base.refusalNotes.ofBroker,
    system: { version: VERSION, heapBytes: () => process.memoryUsage().heapUsed, period: seconds(config.sysSeconds) },
    ...(config.serverReference === undefined ? {} : { serverReference: config.serverReference }),
  });
  for (const service of services) broker.serve(service);
  entrance.start(broker);
  await broker.restore();
  teardown.add("broker", () => broker.close());
  teardown.add(
    "presence of connections",
    broker.onPresence((event) => {
      if (event.thing === null) return;
      if (event.type === "connected") presence.connected(event.thing, event.sessionIdentifier, event.remoteAddress);
      else presence.disconnected(event.thing, event.sessionIdentifier, event.reason ?? "UNKNOWN");
    }),
  );
  teardown.add("audit of devices", auditDevices(broker, base.audit));
  const events = { ...base, broker, which: config.lifeCycleEvents, limits: base.limits.mqtt };
  teardown.add("life-cycle events", publishLifeCycleEvents(events));
  teardown.add(
    "eviction",
    evictOnChange({
      registry,
      scheduler,
      logger,
      endUnauthorized: (isChosen, ended) => broker.endUnauthorized(isChosen, ended),
    }),
  );
  return broker;
}
