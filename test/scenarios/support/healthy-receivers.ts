/** Ten receivers that do as they should, each of another kind, as far as this machine has the servers. */
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { createClient } from "@redis/client";
import pg from "pg";
import { SMTPServer } from "smtp-server";
import { PostgresServer, postgresMissing } from "../../../src/adapters/postgres/server.fixture.ts";
import { natsServer, programMissing, redisServer } from "../../../src/adapters/senders/servers.fixture.ts";
import { Receipts } from "./storm-receipts.ts";
import type { StormReceiver } from "./storm-receipts.ts";

type Open = (folder: string) => Promise<StormReceiver>;

/** `leftOut`: servers that this machine has not; another webhook stands in for each. */
export async function healthyReceivers(
  folder: string,
): Promise<{ readonly all: readonly StormReceiver[]; readonly leftOut: readonly string[] }> {
  const leftOut: string[] = [];
  const real = (name: string, missing: string | null, open: Open): Open => {
    if (missing === null) return open;
    leftOut.push(missing);
    return () => webhook(`webhook_for_${name}`);
  };
  const opens: readonly Open[] = [
    () => webhook("webhook", { secret: `whsec_${Buffer.alloc(24, 7).toString("base64")}` }),
    http,
    influxdb,
    email,
    (data) => spool(data, "lines"),
    (data) => spool(data, "message"),
    program,
    real("redis", programMissing("redis-server"), redis),
    real("nats", programMissing("nats-server"), nats),
    real("postgresql", postgresMissing(), postgresql),
  ];
  return { all: await Promise.all(opens.map((open) => open(folder))), leftOut };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** `take` is called before the answer leaves. */
async function httpReceiver(
  name: string,
  take: (body: string, request: IncomingMessage, receipts: Receipts) => void,
  action: (url: string) => object,
): Promise<StormReceiver> {
  const receipts = new Receipts();
  const server = createServer((request, response) => {
    void bodyOf(request).then(
      (body) => {
        take(body, request, receipts);
        return response.writeHead(204).end();
      },
      () => null, // the platform was killed while it spoke
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { name, action: action(url), receipts, look: async () => {}, close };
}

function takeWebhook(body: string, { headers }: IncomingMessage, receipts: Receipts): void {
  receipts.take((JSON.parse(body) as { n: number }).n, String(headers["webhook-id"]));
}

const webhook = (name: string, more: object = {}): Promise<StormReceiver> =>
  httpReceiver(name, takeWebhook, (url) => ({ webhook: { url, ...more } }));

const http = (): Promise<StormReceiver> =>
  httpReceiver("http", takeWebhook, (url) => ({ http: { url, headers: [{ key: "x-n", value: "${n}" }] } }));

const influxdb = (): Promise<StormReceiver> =>
  httpReceiver(
    "influxdb",
    (body, _, receipts) => {
      for (const line of body.trim().split("\n")) receipts.take(Number(/ n=(\d+)/.exec(line)![1]), null);
    },
    (url) => ({ influxdb: { url, org: "o", bucket: "b", token: "t", measurement: "storm" } }),
  );

async function email(): Promise<StormReceiver> {
  const receipts = new Receipts();
  const server = new SMTPServer({
    authOptional: true,
    closeTimeout: 100,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    onData(stream, _session, done) {
      let text = "";
      stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
      stream.on("end", () => {
        receipts.take(Number(/^event (\d+)/m.exec(text)![1]), /^Message-ID: (\S+)/im.exec(text)![1]!);
        done();
      });
    },
  });
  server.on("error", () => {});
  const listening = server.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const url = `smtp://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  const action = { email: { url, from: "a@example.com", to: ["b@example.com"], text: "event ${n}" } };
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { name: "email", action, receipts, look: async () => {}, close };
}

/** Counts what is there, each time anew. */
function looking(receipts: Receipts, read: (take: Receipts["take"]) => void | Promise<void>): () => Promise<void> {
  return async () => {
    receipts.times.clear();
    receipts.keys.clear();
    await read((n, key) => receipts.take(n, key));
  };
}

async function spool(data: string, format: "lines" | "message"): Promise<StormReceiver> {
  const receipts = new Receipts();
  const folder = join(data, "spool", format);
  const look = looking(receipts, (take) => {
    for (const line of spooled(folder)) take((JSON.parse(line) as { n: number }).n, null);
  });
  const action = { spool: { folder: format, format } };
  return { name: `spool_${format}`, action, receipts, look, close: async () => {} };
}

/** What stands in the files that are whole. */
export function spooled(folder: string): string[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder).filter((name) => !name.startsWith("."));
  } catch {
    return []; // nothing came yet
  }
  return names.flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"));
}

async function program(data: string): Promise<StormReceiver> {
  const receipts = new Receipts();
  const [programs, kept] = [join(data, "programs"), join(data, "program-kept.jsonl")];
  mkdirSync(programs, { recursive: true, mode: 0o700 });
  writeFileSync(kept, "");
  writeFileSync(
    join(programs, "keep"),
    `#!${process.execPath}
const { appendFileSync } = require("node:fs");
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  appendFileSync(${JSON.stringify(kept)}, line + "\\n");
  process.stdout.write(JSON.stringify({ id: JSON.parse(line).id }) + "\\n");
});
process.stdout.on("error", () => process.exit()); // the platform was killed
`,
  );
  chmodSync(join(programs, "keep"), 0o700);
  const look = looking(receipts, (take) => {
    for (const line of readFileSync(kept, "utf8").split("\n").filter(Boolean)) {
      const { id, data: event } = JSON.parse(line) as { id: string; data: { n: number } };
      take(event.n, id);
    }
  });
  return { name: "program", action: { program: { name: "keep" } }, receipts, look, close: async () => {} };
}

async function redis(): Promise<StormReceiver> {
  const receipts = new Receipts();
  const server = await redisServer();
  const client = createClient({ url: `redis://:wire@127.0.0.1:${server.port}` });
  await client.connect();
  const look = looking(receipts, async (take) => {
    for (const { message } of await client.xRange("storm", "-", "+")) {
      take((JSON.parse(message["data"]!) as { n: number }).n, message["id"]!);
    }
  });
  const action = { redis: { url: `redis://127.0.0.1:${server.port}`, password: "wire", stream: "storm" } };
  const close = async (): Promise<void> => {
    client.destroy();
    await server.remove();
  };
  return { name: "redis", action, receipts, look, close };
}

async function nats(): Promise<StormReceiver> {
  const receipts = new Receipts();
  const server = await natsServer();
  const connection = await connect({ servers: `127.0.0.1:${server.port}`, user: "tide", pass: "wire" });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "storm", subjects: ["storm"] });
  const look = looking(receipts, async (take) => {
    const { messages } = (await manager.streams.info("storm")).state;
    if (messages === 0) return;
    const consumer = await jetstream(connection).consumers.get("storm");
    for await (const message of await consumer.fetch({ max_messages: messages, expires: 5_000 })) {
      take(message.json<{ n: number }>().n, message.headers!.get("Nats-Msg-Id"));
    }
  });
  const url = `nats://127.0.0.1:${server.port}`;
  const action = { nats: { url, user: "tide", password: "wire", subject: "storm", jetstream: true } };
  const close = async (): Promise<void> => {
    await connection.close();
    await server.remove();
  };
  return { name: "nats", action, receipts, look, close };
}

async function postgresql(): Promise<StormReceiver> {
  const receipts = new Receipts();
  const server = await PostgresServer.start();
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  await client.query("CREATE TABLE storm (seq serial, n int, event text UNIQUE)");
  const look = looking(receipts, async (take) => {
    const { rows } = await client.query<{ n: number; event: string }>("SELECT n, event FROM storm ORDER BY seq");
    for (const { n, event } of rows) take(n, event);
  });
  const url = `postgresql://127.0.0.1:${server.port}/tidewire`;
  const login = { url, user: "tidewire", password: server.password };
  const action = { postgresql: { ...login, table: "storm", columns: ["n"], key: "event" } };
  const close = async (): Promise<void> => {
    await client.end();
    await server.remove();
  };
  return { name: "postgresql", action, receipts, look, close };
}
