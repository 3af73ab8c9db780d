/** CONNECT and CONNACK of `packets.cases.ts`, byte by byte. */
import { listing } from "../../../sim/listing.ts";
import { connectPacket } from "./connect-packet.ts";
import type { PacketValue } from "./packets.fixture.ts";
import type { ProtocolVersion, Role } from "./types.ts";

export interface PacketCase {
  readonly title: string;
  readonly version: ProtocolVersion;
  /** Whose reader takes it. */
  readonly to: Role;
  readonly bytes: Uint8Array;
  readonly value: PacketValue;
  /** Why writing the value gives other bytes; without it they are the same. */
  readonly rewritten?: string;
  /** It opens the connection, so no packet may stand before it. */
  readonly opening?: true;
}

const ascii = new TextEncoder();
const payload = (text: string): Uint8Array => ascii.encode(text);

export const CONNECT_CASES: readonly PacketCase[] = [
  {
    title: "CONNECT 3.1.1, as small as it gets",
    version: 4,
    to: "server",
    opening: true,
    bytes: listing(`
      10 0d          // CONNECT, remaining length 13
      00 04 'MQTT'   // protocol name
      04             // protocol level
      02             // flags: clean session
      00 3c          // keep alive 60 s
      00 01 'c'      // client identifier
    `),
    value: { type: "connect", packet: connectPacket({ version: 4, clientId: "c" }) },
  },
  {
    title: "CONNECT 3.1.1 of a persistent session with will, user name and password, in this order [MQTT311-3.1.3-1]",
    version: 4,
    to: "server",
    opening: true,
    bytes: listing(`
      10 1c          // CONNECT, remaining length 28
      00 04 'MQTT' 04
      ec             // flags: user name, password, will retain, will QoS 1, will
      00 0a          // keep alive 10 s
      00 02 'd1'     // client identifier
      00 01 'w'      // will topic
      00 03 'bye'    // will payload
      00 01 'u'      // user name
      00 01 ff       // password: any bytes
    `),
    value: {
      type: "connect",
      packet: connectPacket({
        version: 4,
        clientId: "d1",
        cleanStart: false,
        keepAliveSeconds: 10,
        username: "u",
        password: Uint8Array.of(0xff),
        will: { topic: "w", payload: payload("bye"), qos: 1, retain: true, delaySeconds: 0, properties: null },
      }),
    },
  },
  {
    title: "CONNECT 5.0 without properties and with an empty client identifier",
    version: 5,
    to: "server",
    opening: true,
    bytes: listing(`
      10 0d          // CONNECT, remaining length 13
      00 04 'MQTT' 05
      02             // flags: clean start
      00 3c          // keep alive 60 s
      00             // no properties
      00 00          // client identifier: the server is to assign one
    `),
    value: { type: "connect", packet: connectPacket({ version: 5, clientId: "" }) },
  },
  {
    title: "CONNECT 5.0 with every property, and its payload in order [MQTT-3.1.3-1]",
    version: 5,
    to: "server",
    opening: true,
    bytes: listing(`
      10 76             // CONNECT, remaining length 118
      00 04 'MQTT' 05
      76                // flags: password (5.0 needs no user name), will retain, will QoS 2, will, clean start
      00 00             // no keep alive
      2a                // property length 42
      11 00 00 0e 10    // session expiry 3600 s
      21 00 14          // receive maximum 20
      27 00 01 00 00    // maximum packet size 65536
      22 00 05          // topic alias maximum 5
      19 01             // request response information
      17 00             // request problem information: no
      26 00 01 'k' 00 01 'v'    // user property
      26 00 01 'k' 00 01 'w'    // user property, same name
      15 00 01 'm'      // authentication method
      16 00 01 00       // authentication data
      00 03 'dev'       // client identifier
      28                // will property length 40
      18 00 00 00 05    // will delay 5 s
      01 01             // payload format: UTF-8
      02 00 00 00 3c    // message expiry 60 s
      03 00 04 'text'   // content type
      08 00 03 'r/t'    // response topic
      09 00 02 00 ff    // correlation data
      26 00 02 'wk' 00 03 'wv '  // user property
      00 06 'will/t'    // will topic
      00 05 'adieu'     // will payload
      00 02 'pw'        // password
    `),
    value: {
      type: "connect",
      packet: connectPacket({
        version: 5,
        clientId: "dev",
        keepAliveSeconds: 0,
        password: payload("pw"),
        will: {
          topic: "will/t",
          payload: payload("adieu"),
          qos: 2,
          retain: true,
          delaySeconds: 5,
          properties: {
            payloadFormat: 1,
            messageExpirySeconds: 60,
            contentType: "text",
            responseTopic: "r/t",
            correlationData: Uint8Array.of(0, 0xff),
            userProperties: [["wk", "wv "]],
          },
        },
        sessionExpirySeconds: 3600,
        receiveMaximum: 20,
        maximumPacketSize: 65_536,
        topicAliasMaximum: 5,
        requestResponseInformation: true,
        requestProblemInformation: false,
        userProperties: [
          ["k", "v"],
          ["k", "w"],
        ],
        authenticationMethod: "m",
        authenticationData: Uint8Array.of(0),
      }),
    },
  },
  {
    title: "CONNACK 3.1.1 that accepts, with a session",
    version: 4,
    to: "client",
    opening: true,
    bytes: listing("20 02 01 00 // CONNACK, remaining length 2, session present, accepted"),
    value: { type: "connack", packet: { sessionPresent: true, reasonCode: 0 } },
  },
  {
    title: "CONNACK 3.1.1 that refuses",
    version: 4,
    to: "client",
    opening: true,
    bytes: listing("20 02 00 05 // CONNACK, remaining length 2, no session, not authorized"),
    value: { type: "connack", packet: { sessionPresent: false, reasonCode: 5 } },
  },
  {
    title: "CONNACK 5.0 without properties",
    version: 5,
    to: "client",
    opening: true,
    bytes: listing("20 03 00 87 00 // CONNACK, remaining length 3, no session, Not authorized, no properties"),
    value: { type: "connack", packet: { sessionPresent: false, reasonCode: 0x87 } },
  },
  {
    title: "CONNACK 5.0 with every property",
    version: 5,
    to: "client",
    opening: true,
    bytes: listing(`
      20 46             // CONNACK, remaining length 70
      00 00             // no session, Success
      43                // property length 67
      11 00 00 00 78    // session expiry 120 s
      21 04 00          // receive maximum 1024
      24 01             // maximum QoS 1
      25 01             // retain available
      27 00 10 00 00    // maximum packet size 1 MiB
      12 00 04 'auto'   // assigned client identifier
      22 00 10          // topic alias maximum 16
      1f 00 02 'ok'     // reason string
      28 01             // wildcard subscriptions
      29 01             // subscription identifiers
      2a 00             // no shared subscriptions
      13 0e 10          // server keep alive 3600 s
      26 00 01 'k' 00 01 'v'    // user property
      1a 00 02 'ri'     // response information
      1c 00 03 's:1'    // server reference
      15 00 01 'm'      // authentication method
      16 00 01 07       // authentication data
    `),
    value: {
      type: "connack",
      packet: {
        sessionPresent: false,
        reasonCode: 0,
        sessionExpirySeconds: 120,
        receiveMaximum: 1024,
        maximumQos: 1,
        retainAvailable: true,
        maximumPacketSize: 1_048_576,
        assignedClientId: "auto",
        topicAliasMaximum: 16,
        reasonString: "ok",
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: true,
        sharedSubscriptionAvailable: false,
        serverKeepAliveSeconds: 3600,
        userProperties: [["k", "v"]],
        responseInformation: "ri",
        serverReference: "s:1",
        authenticationMethod: "m",
        authenticationData: Uint8Array.of(7),
      },
    },
  },
];
