/** RabbitMQ: publisher confirms, and `mandatory`, so that a message that no queue takes comes back. */
import type { ChannelModel, ConfirmChannel } from "amqplib";
import { TidewireError } from "../../base/mod.ts";
import { DONE, deliveryFails, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";
import { guarded, settingsOf } from "./server-settings.ts";
import type { ServerPorts } from "./server-settings.ts";

interface AmqpSettings {
  readonly exchange: string;
  readonly persistent: boolean;
}

interface Connected {
  readonly connection: ChannelModel;
  readonly channel: ConfirmChannel;
  /** Ids of what came back since the batch began; RabbitMQ sends `return` before the confirm. */
  readonly returned: Set<string>;
}

const HEARTBEAT_SECONDS = 20;
/** A short string of the protocol. */
const ROUTING_KEY_BYTES_MAX = 255;

export function amqpSender(receiver: Receiver, ports: ServerPorts): Sender {
  const { exchange, persistent } = receiver.settings as unknown as AmqpSettings;
  const link: Link<Connected> = new Link({
    open: () => connect(receiver, ports, () => link.lost()),
    drop: ({ connection }) => void connection.close().catch(() => {}),
  });
  const publish = ({ channel, returned }: Connected, parcel: Parcel): Promise<Verdict> =>
    new Promise((resolve, reject) => {
      const { id, body, fields, createdAt } = parcel;
      const routingKey = fields["routingKey"] ?? "";
      if (Buffer.byteLength(routingKey) > ROUTING_KEY_BYTES_MAX) return resolve(tooLong);
      const properties = {
        messageId: id,
        contentType: fields["contentType"] ?? "application/json",
        timestamp: Math.floor(createdAt / 1000),
      };
      channel.publish(
        exchange,
        routingKey,
        Buffer.from(body),
        { ...properties, mandatory: true, persistent },
        (error) => {
          if (returned.delete(id)) resolve(deliveryFails("no queue takes it"));
          else if (error === null) resolve(DONE);
          // A nack has no connection to blame: the broker could not store it.
          else if (/nack/i.test(String(error))) resolve(targetFails("the broker refused it"));
          else reject(error as Error);
        },
      );
      return undefined;
    });
  return {
    send: (batch, timeout) =>
      link.carry(batch, timeout, (connected) => {
        const gone = new Promise<never>((_, reject) => {
          connected.channel.once("error", reject);
          connected.channel.once("close", () => reject(new Error("the channel was closed")));
        });
        const all = Promise.all(batch.map((parcel) => publish(connected, parcel)));
        return Promise.race([all, gone]).finally(() => {
          connected.channel.removeAllListeners("error").removeAllListeners("close");
          connected.channel.on("error", () => {}).on("close", () => link.lost());
        });
      }),
    close: () => link.close(),
  };
}

const tooLong: Verdict = { type: "dead", reason: `the routing key is longer than ${ROUTING_KEY_BYTES_MAX} bytes` };

async function connect(receiver: Receiver, ports: ServerPorts, lost: () => void): Promise<Connected> {
  const settings = settingsOf(receiver);
  const { tls, user = "guest", password = "guest", path } = settings;
  const [{ default: amqplib }, { address, port, trust }] = await Promise.all([
    import("amqplib"),
    guarded(ports, settings),
  ]);
  const connection = await amqplib.connect(
    {
      protocol: tls ? "amqps" : "amqp",
      hostname: address,
      port,
      username: user,
      password,
      vhost: path === "" ? "/" : path,
      heartbeat: HEARTBEAT_SECONDS,
    },
    tls ? trust : {},
  );
  connection.on("error", () => {}); // `close` follows
  connection.on("close", lost);
  const channel = await connection.createConfirmChannel();
  const returned = new Set<string>();
  channel.on("error", () => {}).on("close", lost);
  channel.on("return", ({ properties }) => returned.add(String(properties.messageId)));
  const { exchange } = receiver.settings as unknown as AmqpSettings;
  if (exchange !== "") {
    await channel.checkExchange(exchange).catch((error: unknown) => {
      void connection.close().catch(() => {});
      throw new TidewireError("OUTGOING_FAILED", { origin: receiver.label, reason: String(error) });
    });
  }
  return { connection, channel, returned };
}
