import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS } from "../../base/mod.ts";
import { connectPacket } from "./connect-packet.ts";
import { PublishForms } from "./encoded-publish.ts";
import { packetBytes, recording } from "./packets.fixture.ts";
import { PacketReader } from "./reader.ts";
import type { PublishView } from "./types.ts";
import { PacketWriter } from "./writer.ts";

test("what many are sent is, for each, what forwarding to it alone would write, in any order of forms and messages", () => {
  const forms = new PublishForms();
  const alone = { 4: new PacketWriter(4), 5: new PacketWriter(5) };
  const appended = { 4: new PacketWriter(4), 5: new PacketWriter(5) };
  let packetId = 0;
  const publish = (view: PublishView): void => {
    forms.begin(view);
    for (const version of [5, 4, 5] as const) {
      for (const qos of [0, 1, 2, 1] as const) {
        for (const retain of [true, false]) {
          packetId = (packetId % 65_535) + 1;
          alone[version].forward(view, { qos, retain, packetId });
          appended[version].append(forms.get(version, qos, retain), packetId);
        }
      }
    }
  };
  const properties = { contentType: "j", userProperties: [["k", "v".repeat(300)]] } as const;
  for (const version of [4, 5] as const) {
    const reader = new PacketReader({ ...recording([]), publish }, { role: "server", limits: LIMITS.mqtt });
    reader.push(packetBytes(version, { type: "connect", packet: connectPacket({ version, clientId: "c" }) }));
    for (const size of [0, 1, 100, 127, 5_000, 20_000, 3]) {
      for (const qos of [0, 1] as const) {
        reader.push(
          packetBytes(version, {
            type: "publish",
            topic: "a/b".repeat(1 + (size % 5)),
            payload: new Uint8Array(size).fill(size & 0xff),
            qos,
            retain: false,
            dup: false,
            packetId: qos === 0 ? 0 : 77,
            topicAlias: 0,
            properties: version === 5 && size % 2 === 0 ? properties : null,
            subscriptionIdentifiers: [],
          }),
        );
      }
    }
  }
  assert.deepEqual(appended[4].take(), alone[4].take());
  assert.deepEqual(appended[5].take(), alone[5].take());
});
