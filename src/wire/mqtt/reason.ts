/** Reason codes of MQTT 5.0, section 2.4 (table 2-6). 3.1.1 knows six CONNACK codes and SUBACK's 0x80; see `connackV3`. */

export const REASON = {
  success: 0x00,
  normalDisconnection: 0x00,
  grantedQos0: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecificError: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierInUse: 0x91,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdentifiersNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;

/**
 * The CONNACK return code of MQTT 3.1.1 (section 3.2.2.3 there) for a reason code of 5.0. A value that is a 3.1.1 code
 * already (0–5) stays as it is, so mapping twice is harmless. What 3.1.1 has no word for is "server unavailable" (3) where
 * trying again later may help, and "not authorized" (5) where it will not, as AWS IoT answers.
 */
export function connackV3(reasonCode: number): number {
  if (reasonCode <= 5) return reasonCode;
  switch (reasonCode) {
    case REASON.unsupportedProtocolVersion:
      return 1;
    case REASON.clientIdentifierNotValid:
      return 2;
    case REASON.badUserNameOrPassword:
    case REASON.badAuthenticationMethod:
      return 4;
    case REASON.unspecifiedError:
    case REASON.implementationSpecificError:
    case REASON.serverUnavailable:
    case REASON.serverBusy:
    case REASON.serverShuttingDown:
    case REASON.quotaExceeded:
    case REASON.useAnotherServer:
    case REASON.serverMoved:
    case REASON.connectionRateExceeded:
      return 3;
    default:
      return 5;
  }
}

type CodedPacket =
  | "connack"
  | "puback"
  | "pubrec"
  | "pubrel"
  | "pubcomp"
  | "suback"
  | "unsuback"
  | "disconnect"
  | "auth";

const PUBLISH_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] as const;
const RELEASE_CODES = [0x00, 0x92] as const;

/** Which codes may stand in which packet: tables 3-1, 3-4 … 3-9, 3-10, 3-11 of MQTT 5.0. */
const ALLOWED: Readonly<Record<CodedPacket, Uint8Array>> = {
  connack: codes([
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b,
    0x9c, 0x9d, 0x9f,
  ]),
  puback: codes(PUBLISH_CODES),
  pubrec: codes(PUBLISH_CODES),
  pubrel: codes(RELEASE_CODES),
  pubcomp: codes(RELEASE_CODES),
  suback: codes([0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: codes([0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  disconnect: codes([
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ]),
  auth: codes([0x00, 0x18, 0x19]),
};

function codes(allowed: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const code of allowed) table[code] = 1;
  return table;
}

/** Whether MQTT 5.0 allows this reason code in this packet. */
export function reasonAllowed(packet: CodedPacket, reasonCode: number): boolean {
  return ALLOWED[packet][reasonCode] === 1;
}
