/** What a row of the table of endings is, and what most of them begin with. */
import type { BrokerWorld, WorldOptions } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { ConnectPacket, ProtocolVersion, SubscribeRequest, Will } from "../wire/mqtt/mod.ts";
import type { DisconnectCause } from "./presence.ts";
import type { RefusalKind } from "./refusals.ts";

export interface Ending {
  readonly what: string;
  /** The lines that end it: file, and the first argument as it stands there (for CONNACK the kind). */
  readonly callers: readonly string[];
  readonly options?: WorldOptions;
  /** Brings it about; the client that is to be ended. */
  readonly act: (world: BrokerWorld, version: ProtocolVersion) => Promise<SimClient>;
  /** DISCONNECT's reason code in MQTT 5.0; null: closed without a word. 3.1.1 is always closed without one. */
  readonly told?: number | null;
  /** CONNACK's code in 5.0 and in 3.1.1; null: none. */
  readonly connack?: readonly [five: number | null, four: number | null];
  /** Absent: it was never in. */
  readonly cause?: DisconnectCause;
  /** Absent: nothing was refused. */
  readonly reason?: RefusalKind;
  /** MQTT 5.0 alone knows it. */
  readonly onlyFive?: true;
}

export const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
export const will: Will = {
  topic: "w",
  payload: new Uint8Array(0),
  qos: 0,
  retain: false,
  delaySeconds: 0,
  properties: null,
};
export const request: SubscribeRequest = {
  filter: "a",
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
};

export const connected =
  (then: (client: SimClient, world: BrokerWorld) => unknown, packet: Partial<ConnectPacket> = {}): Ending["act"] =>
  async (world, version) => {
    const client = await world.connected("c1", { version, ...packet });
    await then(client, world);
    return client;
  };

/** A method that is done at once, and fails or hangs the second time. */
export function authenticating(world: BrokerWorld, again: "failed" | "continue"): void {
  let times = 0;
  world.authenticate = (_peer, { clientId }) => ({
    step: () => {
      times++;
      if (times === 1)
        return { kind: "authenticated", principal: "p", data: null, admission: world.admission(clientId) };
      if (again === "continue") return { kind: "continue", data: null };
      return { kind: "failed", reasonCode: REASON.badUserNameOrPassword, reason: "wrong" };
    },
  });
}
