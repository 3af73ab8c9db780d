/** Connections of `pub` and `sub`: what an end means for whoever runs them, and trying again after one that passes. */
import { MqttConnection, MqttFailure, describeEnd, isLasting } from "../adapters/mqtt-client/mod.ts";
import type { ConnectionEnd, MqttConnectionOptions } from "../adapters/mqtt-client/mod.ts";
import { systemClock, systemRandom, systemScheduler } from "../adapters/system.ts";
import { TidewireError, seconds } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { Broker } from "./broker-options.ts";
import type { Output } from "./output.ts";

export interface LinkOptions extends Pick<MqttConnectionOptions, "received" | "settled" | "ended"> {
  /** How long the broker keeps the session of a client that is away; 0 where nothing is to be kept. MQTT 5.0 only. */
  readonly sessionSeconds: number;
}

const KEEP_ALIVE_SECONDS = 30;
const WAIT_MIN = seconds(0.5);
const WAIT_MAX = seconds(30);
const TAKEN_OVER = 0x8e;
const NOT_AUTHORIZED = 0x87;

/** `again`: of the session that there was. Throws `MqttFailure`. */
function connect(broker: Broker, options: LinkOptions, again: boolean): Promise<MqttConnection> {
  const { address, credentials, clientId, version, username, password } = broker;
  const { sessionSeconds, ...events } = options;
  const session =
    version === 5 ? { cleanStart: !again || sessionSeconds === 0, sessionExpirySeconds: sessionSeconds } : {};
  return MqttConnection.open({
    ...events,
    address,
    credentials,
    scheduler: systemScheduler,
    connect: { version, clientId, username, password, keepAliveSeconds: KEEP_ALIVE_SECONDS, ...session },
  });
}

/** Throws BROKER_UNREACHABLE, BROKER_LOGIN_REFUSED, BROKER_ENDED. */
export async function connectFirst(broker: Broker, options: LinkOptions): Promise<MqttConnection> {
  try {
    return await connect(broker, options, false);
  } catch (error) {
    throw error instanceof MqttFailure ? brokerError(broker, error.end) : error;
  }
}

export interface Retry {
  /** Null: until somebody ends it. */
  readonly patience: Millis | null;
  readonly stop: Promise<unknown>;
  readonly output: Output;
}

/**
 * After a connection was lost: the next one, null where it was stopped meanwhile. Throws as above where trying again is
 * pointless, or was long enough.
 */
export async function connectAgain(
  broker: Broker,
  options: LinkOptions,
  lost: ConnectionEnd,
  { patience, stop, output }: Retry,
): Promise<MqttConnection | null> {
  let end = lost;
  const since = systemClock.monotonic();
  output.note(`The connection to ${broker.address.url} is lost: ${describeEnd(lost)}. Trying again.`);
  for (let wait = WAIT_MIN; ; wait = Math.min(wait * 2, WAIT_MAX)) {
    if (isLasting(end)) throw brokerError(broker, end);
    if (patience !== null && systemClock.monotonic() - since + wait > patience) throw brokerError(broker, end);
    if ((await Promise.race([pause(wait * (0.5 + systemRandom.next() / 2)), stop.then(() => "stop")])) === "stop")
      return null;
    try {
      const connection = await connect(broker, options, true);
      output.note("Connected again.");
      return connection;
    } catch (error) {
      if (!(error instanceof MqttFailure)) throw error;
      ({ end } = error);
    }
  }
}

function pause(time: Millis): Promise<void> {
  return new Promise((resolve) => systemScheduler.after(time, resolve));
}

export function brokerError({ address, hints }: Broker, end: ConnectionEnd): TidewireError {
  const { url } = address;
  const details = { url, reason: describeEnd(end) };
  switch (end.kind) {
    case "not-let-in":
      if (!isLasting(end)) break;
      return new TidewireError("BROKER_LOGIN_REFUSED", { ...details, fix: hints.login });
    case "not-upgraded":
      if (end.status !== 401 && end.status !== 403) break;
      return new TidewireError("BROKER_LOGIN_REFUSED", { ...details, fix: hints.login });
    case "dismissed":
      return new TidewireError("BROKER_ENDED", {
        ...details,
        fix: ENDED.get(end.code) ?? "Look into the broker's log.",
      });
    case "closed":
      if (end.phase === "greeting") return new TidewireError("BROKER_LOGIN_REFUSED", { ...details, fix: hints.login });
      if (end.phase === "online") return new TidewireError("BROKER_ENDED", { ...details, fix: WITHOUT_A_WORD });
      if (end.cause.kind === "client-certificate")
        return new TidewireError("BROKER_LOGIN_REFUSED", { ...details, fix: hints.login });
      if (end.cause.kind !== "server-certificate") break;
      return new TidewireError("BROKER_UNREACHABLE", { ...details, fix: FOREIGN_CA });
    case "fault":
    case "timeout":
    case "left":
  }
  return new TidewireError("BROKER_UNREACHABLE", { ...details, fix: hints.unreachable });
}

const WITHOUT_A_WORD =
  "Look into the broker's log; by MQTT 3.1.1 it has no other word for what is not allowed (`tidewire refused`).";
const FOREIGN_CA =
  "Name the CA's file with --ca (a platform's is secrets/ca.crt in its data folder), and a host that the certificate names.";

const ENDED: ReadonlyMap<number, string> = new Map([
  [TAKEN_OVER, "Another client came with the same client id: give this one its own with --client-id."],
  [
    NOT_AUTHORIZED,
    "What it asked for is not allowed, or not any more: `tidewire refused` says which statement is missing.",
  ],
]);
