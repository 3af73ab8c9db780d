import { RECEIVE_MAXIMUM_DEFAULT, UNLIMITED } from "./decode-connect.ts";
import type { ConnectPacket, ProtocolVersion } from "./types.ts";

/** A CONNECT with the specification's defaults for everything that is not given. */
export function connectPacket(
  fields: Partial<ConnectPacket> & { readonly version: ProtocolVersion; readonly clientId: string },
): ConnectPacket {
  const cleanStart = fields.cleanStart ?? true;
  return {
    cleanStart,
    keepAliveSeconds: 60,
    username: null,
    password: null,
    will: null,
    sessionExpirySeconds: fields.version === 4 && !cleanStart ? UNLIMITED : 0,
    receiveMaximum: RECEIVE_MAXIMUM_DEFAULT,
    maximumPacketSize: UNLIMITED,
    topicAliasMaximum: 0,
    requestResponseInformation: false,
    requestProblemInformation: true,
    userProperties: [],
    authenticationMethod: null,
    authenticationData: null,
    ...fields,
  };
}
