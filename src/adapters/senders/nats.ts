/** NATS: plain subjects, flushed; or JetStream, with the stream's acknowledgement of each. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { JetStreamClient } from "@nats-io/jetstream";
import type { Millis } from "../../base/mod.ts";
import { DONE, dead, deliveryFails, forAll, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";
import { guarded } from "./server-settings.ts";
import type { ServerPorts, ServerSettings } from "./server-settings.ts";

interface Connected {
  readonly connection: NatsConnection;
  readonly stream: JetStreamClient | null;
}

interface NatsSettings extends ServerSettings {
  readonly token?: string;
  readonly jetstream: boolean;
}

/** Printable, no wildcards, no empty token. */
const SUBJECT = /^(?!\.)(?!.*\.\.)[^\s*>]{1,255}(?<!\.)$/;
/** Of JetStream's answers: the stream takes no message of this size. */
const TOO_LARGE = 10054;

export function natsSender(receiver: Receiver, ports: ServerPorts): Sender {
  const link: Link<Connected> = new Link({
    async open() {
      const connected = await connect(receiver, ports);
      void connected.connection.closed().then(() => link.lost());
      return connected;
    },
    drop: ({ connection }) => void connection.close().catch(() => {}),
  });
  return {
    send: (batch, timeout) => link.carry(batch, timeout, (connected) => publish(connected, batch, timeout)),
    close: () => link.close(),
  };
}

async function connect(receiver: Receiver, ports: ServerPorts): Promise<Connected> {
  const settings = receiver.settings as unknown as NatsSettings;
  const { user, password, token, tls } = settings;
  const [{ connect: open }, { address, port, trust }] = await Promise.all([
    import("@nats-io/transport-node"),
    guarded(ports, settings),
  ]);
  const connection = await open({
    servers: `${address.includes(":") ? `[${address}]` : address}:${port}`,
    name: "tidewire",
    reconnect: false,
    ignoreClusterUpdates: true, // whom the server knows, the guard does not
    ...(user === undefined ? {} : { user, pass: password ?? "" }),
    ...(token === undefined ? {} : { token }),
    tls: tls ? { ...trust, handshakeFirst: false } : null,
  });
  if (!settings.jetstream) return { connection, stream: null };
  const { jetstream } = await import("@nats-io/jetstream");
  return { connection, stream: jetstream(connection) };
}

async function publish(
  { connection, stream }: Connected,
  batch: readonly Parcel[],
  timeout: Millis,
): Promise<Verdict[]> {
  const { headers } = await import("@nats-io/transport-node");
  const room = connection.info?.max_payload ?? Infinity;
  const verdicts = batch.map(async ({ id, body, fields }): Promise<Verdict> => {
    const subject = fields["subject"] ?? "";
    if (!SUBJECT.test(subject)) return dead(`'${subject.slice(0, 60)}' is not a subject`);
    if (body.length > room) return dead(`the server takes at most ${room} bytes`);
    if (stream !== null) {
      return stream.publish(subject, body, { msgID: id, timeout }).then(() => DONE, verdictOf);
    }
    const named = headers();
    named.set("Nats-Msg-Id", id);
    connection.publish(subject, body, { headers: named });
    return DONE;
  });
  const answers = await Promise.all(verdicts);
  // The server's PONG comes after all that was written before it.
  if (stream === null) await connection.flush();
  if (connection.isClosed()) return forAll(batch, targetFails("the connection was closed"));
  return answers;
}

function verdictOf(error: unknown): Verdict {
  const { name, message, code } = error as Error & { code?: unknown };
  if (code === TOO_LARGE) return dead(message);
  // Nobody listens on the subject: no stream has it yet.
  if (name === "NoRespondersError" || /no responders|503|not enabled/i.test(message))
    return deliveryFails("no stream takes this subject");
  return targetFails(message);
}
