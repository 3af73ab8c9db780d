/** A platform without its broker: a real log, and the client of a real store process on it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LIMITS } from "../../base/mod.ts";
import type { JsonValue, Message } from "../../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { systemClock, systemRandom, systemScheduler } from "../../adapters/system.ts";
import { Log } from "../../log/mod.ts";
import { messageRecordBytes, writeMessageRecord } from "../../wire/record/mod.ts";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { StoreClient } from "./client.ts";
import type { StoreClientOptions } from "./client.ts";
import type { RuleLike } from "./orders.ts";
import type { ArchiveOrder } from "./protocol.ts";

export const START = 1_767_225_600_000;
/** START lies further back than raw points are kept. */
const FOR_EVER = { raw: null, "1m": null, "1h": null, "1d": null };

export const STORE_ALL: RuleLike = {
  ruleName: "tidewire_telemetry",
  sql: "SELECT * FROM 'telemetry/#'",
  ruleDisabled: false,
  fromOffset: 0,
  actions: [{ telemetry: {} }],
};

/** A reading of `press-1`, stamped where it has a sequence number. */
export function message(
  payload: JsonValue | Uint8Array,
  more: Partial<Message> & { readonly sequence?: number } = {},
): Message {
  const { sequence, ...rest } = more;
  const stamp = [["tw-outbox", "o1"] as const, ["tw-seq", String(sequence)] as const];
  return {
    topic: "telemetry/press-1/system",
    payload: payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload)),
    qos: 1,
    retain: false,
    clientId: "press-1",
    thing: "press-1",
    receivedAt: systemClock.now(),
    properties: sequence === undefined ? null : { userProperties: stamp },
    ...rest,
  };
}

export class Platform {
  readonly folder: string;
  readonly logger = new SimLogger();
  readonly metrics = new SimMetrics();
  /** Of the next client. */
  archive: ArchiveOrder | null = null;
  client: StoreClient;
  log: Log;
  #rules: readonly RuleLike[];
  readonly #more: Partial<StoreClientOptions>;

  private constructor(folder: string, log: Log, rules: readonly RuleLike[], more: Partial<StoreClientOptions>) {
    this.folder = folder;
    this.log = log;
    this.#rules = rules;
    this.#more = more;
    this.client = this.#client();
  }

  static async make(
    rules: readonly RuleLike[] = [STORE_ALL],
    more: Partial<StoreClientOptions> = {},
  ): Promise<Platform> {
    const folder = await mkdtemp(join(tmpdir(), "tidewire-platform-"));
    return new Platform(folder, await openLog(folder), rules, more);
  }

  get databasePath(): string {
    return join(this.folder, "telemetry.duckdb");
  }

  async start(): Promise<void> {
    this.log.onDurable((durable) => this.client.durable(durable));
    this.client.durable(this.log.durable);
    this.client.setRules(this.#rules);
    await this.client.start();
  }

  /** A new client, as after a restart of the platform. */
  async restart(): Promise<void> {
    await this.client.close();
    this.client = this.#client();
    await this.start();
  }

  append(one: Message): number {
    const bytes = messageRecordBytes(one);
    const at = this.log.reserve(bytes);
    writeMessageRecord(this.log.buffer, at, one);
    return this.log.commit();
  }

  /** Resolves when everything appended so far is stored. */
  async stored(): Promise<void> {
    await this.log.flush();
    const { next } = this.log;
    if ((this.client.status().offset ?? 0) >= next) return;
    await new Promise<void>((resolve) => {
      const cancel = this.client.onCommitted((offset) => {
        if (offset < next) return;
        cancel();
        resolve();
      });
    });
  }

  /** Resolves after the next commit. */
  async committed(): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.client.onCommitted(() => {
        cancel();
        resolve();
      });
    });
  }

  /** The log is lost, and a new one begins. */
  async replaceLog(): Promise<void> {
    await this.log.close();
    await rm(join(this.folder, "log"), { recursive: true });
    this.log = await openLog(this.folder);
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.log.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  #client(): StoreClient {
    return new StoreClient({
      databasePath: this.databasePath,
      logFolder: join(this.folder, "log"),
      archive: this.archive,
      compileCacheFolder: fileURLToPath(new URL("../../../.cache/compiled", import.meta.url)),
      limits: LIMITS,
      keeping: { retention: FOR_EVER, room: { diskShare: 0.5 } },
      clock: systemClock,
      scheduler: systemScheduler,
      random: systemRandom,
      logger: this.logger,
      metrics: this.metrics,
      ...this.#more,
    });
  }
}

/** Kills the store process and waits until the client has noticed. */
export async function killStore(client: StoreClient, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  while (client.status().pid === null) await pause(2); // it is being restarted at this moment
  const { pid, restarts } = client.status();
  process.kill(pid!, signal);
  while (client.status().restarts === restarts) await pause(2);
}

export async function pause(delay: number): Promise<void> {
  await new Promise<void>((resolve) => systemScheduler.after(delay, resolve));
}

async function openLog(folder: string): Promise<Log> {
  return Log.open({
    directory: await openLogDirectory(join(folder, "log")),
    crc32: fileCrc32,
    clock: systemClock,
    scheduler: systemScheduler,
    random: systemRandom,
    logger: new SimLogger(),
    metrics: new SimMetrics(),
    limits: LIMITS.log,
  });
}
