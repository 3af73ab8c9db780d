/** Why there is no connection, in words that say what to do next. */
import { REASON } from "../wire/mqtt/mod.ts";

/** What the socket's adapter found out about the end of a connection, or about why there was none. */
export interface CloseCause {
  readonly kind: CloseKind;
  /** One line for a human; never a secret. */
  readonly detail: string;
}

export type CloseKind =
  /** The name does not resolve. */
  | "unresolved"
  /** No way to the address. */
  | "unreachable"
  /** Nobody listens there. */
  | "refused"
  /** The server's certificate is not from our CA, not for this name, or not valid now. */
  | "server-certificate"
  /** The server said that it does not accept ours. */
  | "client-certificate"
  /** Our own key, certificate or CA file cannot be used. */
  | "credentials"
  | "tls"
  | "reset"
  /** Closed in good order. */
  | "ended";

export type Loss =
  | { readonly kind: "closed"; readonly cause: CloseCause; readonly phase: "opening" | "greeting" | "online" }
  /** CONNACK with a reason code of 0x80 or above. */
  | { readonly kind: "refused"; readonly reasonCode: number }
  | { readonly kind: "dismissed"; readonly reasonCode: number }
  | { readonly kind: "fault"; readonly detail: string }
  | { readonly kind: "timeout"; readonly of: "opening" | "greeting" | "acknowledgement" | "ping" };

export interface LossText {
  readonly reason: string;
  readonly fix: string;
}

/** Whether trying again soon is pointless: a human has to act, or another agent would be thrown out. */
export function deservesPatience(loss: Loss): boolean {
  switch (loss.kind) {
    case "closed":
      return ["server-certificate", "client-certificate", "credentials"].includes(loss.cause.kind);
    case "refused":
    case "dismissed":
      return HOPELESS.has(loss.reasonCode);
    case "fault":
    case "timeout":
    default:
      return false;
  }
}

const HOPELESS: ReadonlySet<number> = new Set([
  REASON.unsupportedProtocolVersion,
  REASON.clientIdentifierNotValid,
  REASON.badUserNameOrPassword,
  REASON.notAuthorized,
  REASON.banned,
  REASON.badAuthenticationMethod,
  REASON.sessionTakenOver,
  REASON.administrativeAction,
  REASON.qosNotSupported,
]);

export function describeLoss(loss: Loss): LossText {
  switch (loss.kind) {
    case "closed":
      return describeClosed(loss.cause, loss.phase);
    case "refused":
      return describeCode(loss.reasonCode, "the platform refused the connection");
    case "dismissed":
      return describeCode(loss.reasonCode, "the platform ended the connection");
    case "fault":
      return {
        reason: `what answers does not keep to MQTT 5: ${loss.detail}`,
        fix: "Check that `broker` in the agent's configuration is the platform's MQTT listener.",
      };
    case "timeout":
    default:
      return TIMEOUTS[loss.of];
  }
}

const NETWORK_FIX = "Check the network; readings are recorded meanwhile and sent later.";

const TIMEOUTS: Readonly<Record<Extract<Loss, { kind: "timeout" }>["of"], LossText>> = {
  opening: {
    reason: "nobody answered in time",
    fix: "Check the network, a firewall, and `broker` in the configuration.",
  },
  greeting: {
    reason: "the platform took the connection and did not answer CONNECT",
    fix: "Check that `broker` is the platform's MQTT listener, and the platform's log.",
  },
  acknowledgement: { reason: "readings were not acknowledged in time: the connection is dead", fix: NETWORK_FIX },
  ping: { reason: "a ping was not answered in time: the connection is dead", fix: NETWORK_FIX },
};

function describeClosed(cause: CloseCause, phase: "opening" | "greeting" | "online"): LossText {
  if (phase === "greeting" && (cause.kind === "reset" || cause.kind === "ended")) {
    return {
      reason:
        "the platform closed the connection right after the TLS handshake, as it does with a certificate that is revoked, inactive or unknown to it",
      fix: "Ask the platform why with `tidewire refused`; activate the certificate, or make a new one with `tidewire things add`.",
    };
  }
  return { reason: `${CLOSED[cause.kind].reason} (${cause.detail})`, fix: CLOSED[cause.kind].fix };
}

const CLOSED: Readonly<Record<CloseKind, LossText>> = {
  unresolved: {
    reason: "the broker's name does not resolve",
    fix: "Check the name service and `broker` in the configuration; readings are recorded meanwhile.",
  },
  unreachable: { reason: "there is no way to the broker", fix: NETWORK_FIX },
  refused: {
    reason: "nobody listens at the broker's address",
    fix: "Start the platform, or correct `broker` in the configuration; readings are recorded meanwhile.",
  },
  "server-certificate": {
    reason: "the broker's certificate is not to be trusted",
    fix: "Check that `ca` is the platform's ca.crt and that the certificate names the host in `broker` (`tidewire up --host NAME` adds one).",
  },
  "client-certificate": {
    reason: "the platform does not accept this agent's certificate",
    fix: "It is revoked, expired or from another CA: ask the platform with `tidewire refused`, or make a new one with `tidewire things add`.",
  },
  credentials: {
    reason: "this agent's key or certificate cannot be used",
    fix: "Check the files that `certificate`, `privateKey` and `ca` name, and that they belong together.",
  },
  tls: { reason: "the TLS handshake failed", fix: "Check that `broker` is the platform's TLS listener (8883)." },
  reset: { reason: "the connection broke", fix: NETWORK_FIX },
  ended: { reason: "the platform closed the connection", fix: NETWORK_FIX },
};

function describeCode(code: number, what: string): LossText {
  const known = CODES.get(code);
  const name = known?.[0] ?? "no reason given";
  return { reason: `${what}: ${name} (0x${code.toString(16).padStart(2, "0")})`, fix: known?.[1] ?? NETWORK_FIX };
}

const POLICY_FIX = "Ask the platform with `tidewire refused`: it says why, and the command that would allow it.";

const CODES: ReadonlyMap<number, readonly [name: string, fix: string]> = new Map([
  [REASON.unsupportedProtocolVersion, ["it does not speak MQTT 5", "Use a broker that does."]],
  [
    REASON.clientIdentifierNotValid,
    ["the client identifier is not valid", "Correct `thing` in the agent's configuration."],
  ],
  [REASON.badUserNameOrPassword, ["login refused", POLICY_FIX]],
  [REASON.notAuthorized, ["not authorized", POLICY_FIX]],
  [REASON.serverUnavailable, ["it is not available now", "Wait; the agent tries again by itself."]],
  [REASON.serverBusy, ["it is busy", "Wait; the agent tries again by itself."]],
  [REASON.banned, ["this agent is banned", POLICY_FIX]],
  [REASON.serverShuttingDown, ["it is shutting down", "Wait; the agent tries again by itself."]],
  [REASON.keepAliveTimeout, ["it heard nothing within the keep-alive time", NETWORK_FIX]],
  [
    REASON.sessionTakenOver,
    [
      "another client connected with the same identity",
      "Stop the other agent that uses this thing's certificate, or give each its own with `tidewire things add`.",
    ],
  ],
  [REASON.packetTooLarge, ["a reading is larger than it takes", "Make the source's readings smaller."]],
  [REASON.messageRateTooHigh, ["too many readings at once", "Wait; the agent tries again by itself."]],
  [REASON.quotaExceeded, ["a quota is exceeded", "Wait; the agent tries again by itself."]],
  [REASON.administrativeAction, ["an administrator ended it", POLICY_FIX]],
  [REASON.qosNotSupported, ["it has no QoS 1", "Use a broker that has: nothing else keeps readings safe."]],
  [REASON.connectionRateExceeded, ["too many connections at once", "Wait; the agent tries again by itself."]],
]);
