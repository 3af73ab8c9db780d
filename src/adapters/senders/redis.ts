/** Redis streams: all of a batch in one pipeline of XADD. */
import type { RedisClientType } from "@redis/client";
import { DONE, dead, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";
import { guarded, settingsOf } from "./server-settings.ts";
import type { ServerPorts } from "./server-settings.ts";

const CONNECT_TIMEOUT_MS = 5_000;

export function redisSender(receiver: Receiver, ports: ServerPorts): Sender {
  const { maxLength } = receiver.settings as unknown as { maxLength: number };
  const trim = { TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: maxLength } } as const;
  const link: Link<RedisClientType> = new Link({
    open: () => connect(receiver, ports, () => link.lost()),
    drop: (client) => (client.isOpen ? client.destroy() : undefined),
  });
  const add = async (client: RedisClientType, { id, body, fields }: Parcel): Promise<Verdict> => {
    const { stream = "", topic = "" } = fields;
    if (stream === "") return dead("the stream's key is empty");
    try {
      const entry = { id, topic, data: Buffer.from(body) };
      await client.xAdd(stream, "*", entry, maxLength === 0 ? undefined : trim);
      return DONE;
    } catch (error) {
      return verdictOf(error);
    }
  };
  return {
    send: (batch, timeout) =>
      link.carry(batch, timeout, (client) => Promise.all(batch.map((parcel) => add(client, parcel)))),
    close: () => link.close(),
  };
}

/** What the server says has a word in front; what else goes wrong is the connection's. */
function verdictOf(error: unknown): Verdict {
  const message = (error as Error).message;
  if (message.startsWith("WRONGTYPE")) return dead("the key holds something that is no stream");
  if (/^[A-Z]+ /.test(message)) return targetFails(message.slice(0, 200));
  throw error;
}

async function connect(receiver: Receiver, ports: ServerPorts, lost: () => void): Promise<RedisClientType> {
  const settings = settingsOf(receiver);
  const { tls, user, password, path } = settings;
  const [{ createClient }, { address, port, trust }] = await Promise.all([
    import("@redis/client"),
    guarded(ports, settings),
  ]);
  const common = { host: address, port, connectTimeout: CONNECT_TIMEOUT_MS, reconnectStrategy: false } as const;
  const client = createClient({
    socket: tls ? { ...common, ...trust, tls: true } : common,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(path === "" ? {} : { database: Number(path) }),
  }) as RedisClientType;
  client.on("error", lost);
  await client.connect();
  return client;
}
