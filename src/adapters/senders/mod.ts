/** One sender per kind of receiver: `rules/delivery/sender.ts`. A kind that is not spoken to in HTTP is one line here. */
import { CARRIERS, dead, forAll } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Senders } from "../../rules/mod.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";
import { amqpSender } from "./amqp.ts";
import { emailSender } from "./email.ts";
import { HttpSender } from "./http.ts";
import type { HttpSenderPorts } from "./http.ts";
import { natsSender } from "./nats.ts";
import { objectsSender } from "./objects.ts";
import type { OpenBucket } from "./objects.ts";
import { postgresqlSender } from "./postgresql.ts";
import { programSender } from "./program.ts";
import { redisSender } from "./redis.ts";
import type { ServerPorts } from "./server-settings.ts";
import { spoolSender } from "./spool.ts";

export type { OpenBucket } from "./objects.ts";

export interface SenderPorts extends HttpSenderPorts {
  /** For receivers that are not spoken to in HTTP; default: private networks may be reached. */
  readonly guard?: OutgoingGuard;
  /** Holds `spool`, `programs` and `certificates`; null where there is none, as in tests. */
  readonly folder: { readonly spool: string; readonly programs: string; readonly certificates: string } | null;
  /** Into the platform's own broker. */
  /** Buckets by the name that rules have for them. */
  readonly buckets?: OpenBucket;
  readonly republish?: (receiver: Receiver) => Sender;
}

type Open = (receiver: Receiver) => Sender;

export function openSenders(ports: SenderPorts): Senders {
  const { guard = new OutgoingGuard(), folder, republish, buckets = () => null } = ports;
  const servers: ServerPorts = { guard, certificates: folder?.certificates ?? null };
  const others: Readonly<Record<string, Open | undefined>> = {
    amqp: (receiver) => amqpSender(receiver, servers),
    email: (receiver) => emailSender(receiver, servers),
    nats: (receiver) => natsSender(receiver, servers),
    postgresql: (receiver) => postgresqlSender(receiver, servers),
    program: folder === null ? undefined : (receiver) => programSender(receiver, folder.programs),
    redis: (receiver) => redisSender(receiver, servers),
    republish,
    s3: (receiver) => objectsSender(receiver, buckets),
    spool: folder === null ? undefined : (receiver) => spoolSender(receiver, folder.spool),
  };
  return {
    open(receiver) {
      const exchange = CARRIERS.get(receiver.carrier)?.http ?? null;
      if (exchange !== null) return new HttpSender(ports, receiver, exchange);
      return others[receiver.carrier]?.(receiver) ?? refuser(receiver.carrier);
    },
  };
}

/** For what another version of Tidewire has saved. */
function refuser(carrier: string): Sender {
  const verdict = dead(`this Tidewire cannot send to '${carrier}'`);
  return {
    send: (batch: readonly Parcel[]) => Promise.resolve(forAll(batch, verdict)),
    close: () => Promise.resolve(),
  };
}
