/**
 * What a platform costs that remembers many: kept sessions and retained messages on disk, a start on them, and what a
 * client then waits for. The folder is filled through the state store's own port, but for one session that is made as
 * clients make them: away while so many messages came for it.
 */
import { join } from "node:path";
import { connect } from "node:net";
import { connectAsync } from "mqtt";
import type { MqttClient } from "mqtt";
import { SqliteBrokerState } from "../src/adapters/sqlite/broker-state.ts";
import type { SavedRetained, SessionChange } from "../src/broker/mod.ts";
import { LIMITS } from "../src/base/mod.ts";
import { PacketReader, PacketWriter } from "../src/wire/mqtt/mod.ts";
import type { ConnectPacket, PacketHandler } from "../src/wire/mqtt/mod.ts";
import { freePort } from "./free-port.ts";
import { memoryOf, pause, startPlatform, tell, withFolder } from "./processes.ts";
import type { Platform } from "./processes.ts";
import { figure, quantile } from "./report.ts";
import type { Row } from "./report.ts";

export interface SessionsOptions {
  readonly runs: number;
  readonly sessions: number;
  readonly retained: number;
  readonly queued: number;
}

const BATCH = 1_000;
const LINES = 10_000;
const PAYLOAD_BYTES = 100;
const EXACT_LOOKUPS = 2_000;
const ROOM = { messages: 1e8, bytes: 1e12 };
const AWAY = "away";
const DAY_SECONDS = 86_400;
const CONNECT: ConnectPacket = {
  version: 5,
  clientId: AWAY,
  cleanStart: false,
  keepAliveSeconds: 60,
  username: null,
  password: null,
  will: null,
  sessionExpirySeconds: DAY_SECONDS,
  receiveMaximum: 65_535,
  maximumPacketSize: 2 ** 20,
  topicAliasMaximum: 0,
  requestResponseInformation: false,
  requestProblemInformation: true,
  userProperties: [],
  authenticationMethod: null,
  authenticationData: null,
};

export async function sessions(options: SessionsOptions): Promise<Row[]> {
  return withFolder(async (folder) => {
    const flags = ["--listen", `mqtt://127.0.0.1:${await freePort()}?auth=none`];
    const data = join(folder, "platform");
    const empty = await start(data, flags);
    await leaveOneAway(empty, options.queued);
    await empty.stop();
    await fill(join(data, "broker.db"), options);
    const runs: Measured[] = [];
    for (let run = 0; run < options.runs; run++) {
      const platform = await start(data, flags);
      runs.push({ ready: platform.readyAfterMs / 1000, ...(await measure(platform, options)) });
      await platform.stop();
      tell(JSON.stringify(runs.at(-1)));
    }
    return rowsOf(options, { ready: empty.readyAfterMs / 1000, memory: empty.memory }, runs);
  });
}

interface Started extends Platform {
  /** MiB resident, of the platform's own process, a moment after it was ready. */
  readonly memory: number;
}

async function start(data: string, flags: readonly string[]): Promise<Started> {
  const platform = await startPlatform(data, { flags });
  await pause(7_000); // by then it has tidied up after its start
  return { ...platform, memory: memoryOf(platform.pid).rss };
}

interface Measured {
  readonly ready: number;
  readonly memory: number;
  /** Milliseconds from SUBSCRIBE to the retained message. */
  readonly exactP50: number;
  readonly exactP99: number;
  /** Milliseconds from SUBSCRIBE to the last retained message, by filter. */
  readonly wildcards: Readonly<Record<string, number>>;
  /** Milliseconds from CONNECT to the last queued message. */
  readonly reconnect: number;
}

async function measure(platform: Started, options: SessionsOptions): Promise<Omit<Measured, "ready">> {
  const url = platform.listen[0]!;
  const client = await connectAsync(url, { protocolVersion: 5, clientId: "bench" });
  const exact = new Float64Array(EXACT_LOOKUPS);
  for (let i = 0; i < EXACT_LOOKUPS; i++) {
    exact[i] = await subscribed(client, topicOf((i * 7919) % options.retained, options.retained), 1);
  }
  exact.sort();
  const wildcards: Record<string, number> = {};
  for (const [filter, count] of filtersOf(options.retained))
    wildcards[filter] = await subscribed(client, filter, count);
  await client.endAsync();
  const reconnect = await comeBack(url, options.queued);
  return {
    memory: platform.memory,
    exactP50: quantile(exact, 0.5),
    exactP99: quantile(exact, 0.99),
    wildcards,
    reconnect,
  };
}

/** `site/S/line/L/device/D/state`: a hundred sites of a hundred lines each, and devices as many as it takes. */
function topicOf(i: number, retained: number): string {
  const line = Math.floor((i * LINES) / retained);
  const device = i - Math.ceil((line * retained) / LINES);
  return `site/${Math.floor(line / 100)}/line/${line % 100}/device/${device}/state`;
}

function filtersOf(retained: number): readonly (readonly [filter: string, matches: number])[] {
  const perLine = Math.floor(retained / LINES);
  return [
    ["site/7/line/9/#", perLine],
    ["site/7/#", perLine * 100],
    ["site/+/line/50/device/3/state", 100],
    ["+/7/line/9/device/3/state", 1],
    ["site/7/+/+/device/3/state", 0],
  ];
}

/** Until `count` retained messages are there; where it is 0, until the answer to a PINGREQ behind them is. */
async function subscribed(client: MqttClient, filter: string, count: number): Promise<number> {
  let left = count;
  let done: () => void = () => {};
  const all = new Promise<void>((resolve) => (done = resolve));
  const onMessage = (): void => {
    if (--left === 0) done();
  };
  client.on("message", onMessage);
  const startedAt = performance.now();
  await client.subscribeAsync(filter, { qos: 0 });
  if (count > 0) await all;
  const took = performance.now() - startedAt;
  client.off("message", onMessage);
  await client.unsubscribeAsync(filter);
  return took;
}

async function leaveOneAway({ listen }: Platform, queued: number): Promise<void> {
  const client = await connectAsync(listen[0]!, {
    protocolVersion: 5,
    clientId: AWAY,
    clean: false,
    properties: { sessionExpiryInterval: DAY_SECONDS },
  });
  await client.subscribeAsync("queued/#", { qos: 1 });
  await client.endAsync();
  const publisher = await connectAsync(listen[0]!, { protocolVersion: 5, clientId: "publisher" });
  const payload = Buffer.alloc(PAYLOAD_BYTES, "x");
  for (let i = 0; i < queued; i += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, queued - i) }, () => publisher.publishAsync("queued/x", payload, { qos: 1 })),
    );
  }
  await publisher.endAsync();
  await pause(2_000); // it is saved about once a second
}

/** Nothing is acknowledged: it leaves as it came, for the next run. */
async function comeBack(url: string, queued: number): Promise<number> {
  const { hostname, port } = new URL(url);
  const startedAt = performance.now();
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise<void>((resolve, reject) => {
    let left = queued;
    const ignore = (): void => {};
    const handler: PacketHandler = {
      connect: ignore,
      connack: ({ sessionPresent }) => {
        if (!sessionPresent) reject(new Error("the session is gone"));
      },
      publish: () => {
        if (--left === 0) resolve();
      },
      acknowledge: ignore,
      subscribe: ignore,
      suback: ignore,
      unsubscribe: ignore,
      unsuback: ignore,
      pingreq: ignore,
      pingresp: ignore,
      disconnect: ({ reasonCode }) => reject(new Error(`disconnected: ${reasonCode}`)),
      auth: ignore,
    };
    const reader = new PacketReader(handler, { role: "client", version: 5, limits: LIMITS.mqtt });
    socket.on("data", (chunk) => reader.push(chunk));
    socket.on("error", reject);
    const writer = new PacketWriter(5);
    writer.connect(CONNECT);
    socket.write(writer.take());
  });
  const took = performance.now() - startedAt;
  socket.destroy();
  return took;
}

async function fill(path: string, { sessions: count, retained }: SessionsOptions): Promise<void> {
  const state = new SqliteBrokerState(path);
  const startedAt = performance.now();
  for (let from = 0; from < count; from += BATCH) {
    await state.saveSessions(
      Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => sessionChange(`device-${from + i}`)),
    );
  }
  const sessionsAt = performance.now();
  const writer = new PacketWriter(5);
  for (let from = 0; from < retained; from += BATCH) {
    const changes = Array.from({ length: Math.min(BATCH, retained - from) }, (_, i) =>
      retainedMessage(writer, from + i, retained),
    );
    await state.retained.save(changes, ROOM);
  }
  state.close();
  tell(
    `filled: sessions ${figure((sessionsAt - startedAt) / 1000)} s, retained ${figure((performance.now() - sessionsAt) / 1000)} s`,
  );
}

function sessionChange(clientId: string): SessionChange {
  const filter = `devices/${clientId}/commands/+`;
  const subscription = { filter, qos: 1, noLocal: false, retainAsPublished: false, identifier: 0, since: 0 } as const;
  const session = {
    clientId,
    expirySeconds: DAY_SECONDS,
    disconnectedAt: Date.now(),
    versionNumber: 1,
    since: 0,
    thing: clientId,
    leftGroup: false,
    will: null,
  };
  return { clientId, reset: true, session, subscriptions: [[filter, subscription]] };
}

/** Offset 0 is below whatever the log has; of so old a message it is not asked for. */
function retainedMessage(writer: PacketWriter, i: number, retained: number): SavedRetained {
  const topic = topicOf(i, retained);
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x78);
  writer.publish({ topic, payload, qos: 0, retain: true, dup: false, packetId: 0, properties: null });
  const bytes = writer.take();
  const frame = Uint8Array.from(bytes);
  writer.giveBack(bytes);
  return { topic, frame, offset: 0, clientId: `device-${i}`, receivedAt: Date.now(), expiresAt: null };
}

function rowsOf(
  { sessions: count, retained, queued }: SessionsOptions,
  empty: { readonly ready: number; readonly memory: number },
  runs: readonly Measured[],
): Row[] {
  const all = `${figure(count)} sessions, ${figure(retained)} retained messages`;
  const row = (claim: string, unit: string, of: (run: Measured) => number, peer?: string): Row => {
    const each = { claim, unit, must: null, runs: runs.map(of) };
    return peer === undefined ? each : { ...each, peer };
  };
  return [
    row(`platform ready with ${all}`, "s", (run) => run.ready, `empty ${figure(empty.ready)}`),
    row(`memory of the platform's process with them`, "MiB RSS", (run) => run.memory, `empty ${figure(empty.memory)}`),
    row("SUBSCRIBE → retained message, exact topic, p50", "ms", (run) => run.exactP50),
    row("SUBSCRIBE → retained message, exact topic, p99", "ms", (run) => run.exactP99),
    ...filtersOf(retained).map(([filter, matches]) =>
      row(`SUBSCRIBE ${filter} → last of ${figure(matches)}`, "ms", (run) => run.wildcards[filter]!),
    ),
    row(`CONNECT of a kept session → last of ${figure(queued)} queued messages`, "ms", (run) => run.reconnect),
  ];
}
