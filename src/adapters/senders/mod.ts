/** One sender per kind of receiver: `rules/delivery/sender.ts`. A kind that is not spoken to in HTTP is one line here. */
import { CARRIERS, dead, forAll } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Senders } from "../../rules/mod.ts";
import { HttpSender } from "./http.ts";
import type { HttpSenderPorts } from "./http.ts";

export type SenderPorts = HttpSenderPorts;

type Open = (receiver: Receiver) => Sender;

export function openSenders(ports: SenderPorts, own: Readonly<Record<string, Open>> = {}): Senders {
  const others: Readonly<Record<string, Open>> = { ...own };
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
