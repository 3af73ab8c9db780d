/** What time does to sessions, and to connections: who is there has to say who it is, be heard, and take what it is sent. */
import type { Millis } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { authenticationOverdue, endOverdue } from "./authentication.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { endExpired } from "./expiries.ts";
import { sweepAbsent } from "./lifecycle.ts";
import { countWills } from "./quotas.ts";
import { refuseConnect } from "./refuse-connect.ts";

/** Nobody waits longer for a client that is sent away, and holds memory by not reading. */
const CLOSING_MS = 5_000;

/** Called about once a second. */
export function sweep(core: Core): void {
  if (core.closing || core.restoring) return; // what ends now ends with the next start
  const now: Millis = core.now();
  core.countQueued();
  countWills(core);
  core.notes.retry();
  for (const connection of core.connections) {
    endIfOverdue(connection, now);
    connection.session?.outbox.rest();
  }
  endExpired(core);
  sweepAbsent(core);
}

function endIfOverdue(connection: Connection, now: Millis): void {
  const { limits, reached } = connection.core;
  const stalledFor = connection.stalledFor(now);
  if (
    connection.state === "greeting" &&
    now - connection.acceptedAt >= limits.connectTimeout &&
    !connection.isHeld("connect")
  ) {
    endGreeting(connection);
  } else if (authenticationOverdue(connection, now)) endOverdue(connection);
  else if (connection.state === "closing" && stalledFor >= CLOSING_MS) {
    connection.destroy(); // it does not even take our good-bye
  } else if (stalledFor > 0 && stalledFor >= limits.stalledOutputMax) {
    reached.count("stalledOutputMax");
    connection.refuse("output-stalled", null, "CONNECTION_LOST", "the client takes no data; check its network");
    connection.destroy();
  } else if (connection.state === "connected" && isSilent(connection, now)) {
    const detail = `nothing received for one and a half times the keep-alive of ${connection.keepAliveSeconds} s`;
    connection.refuse("keep-alive", REASON.keepAliveTimeout, "MQTT_KEEP_ALIVE_TIMEOUT", detail); // [MQTT-3.1.2-22]
  }
}

function endGreeting(connection: Connection): void {
  const { limits, reached } = connection.core;
  reached.count("connectTimeout");
  const within = `within ${limits.connectTimeout / 1000} s`;
  if (connection.isHeld("gatekeeper")) {
    const detail = `nobody could say ${within} whether the client may connect`;
    refuseConnect(connection, REASON.serverBusy, "gatekeeper-slow", detail);
  } else connection.refuse("connect-timeout", null, "CLIENT_ERROR", `no CONNECT ${within}`);
}

function isSilent(connection: Connection, now: Millis): boolean {
  const { keepAliveSeconds, lastReceived } = connection;
  // Who is not read from cannot be heard; one that is held for its output, and takes none of it, is found by that.
  if (keepAliveSeconds === 0 || connection.isReadHeld) return false;
  return now - lastReceived >= keepAliveSeconds * 1500;
}
