import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_PACKETS } from "../../sim/wiretap.ts";
import { LIMITS } from "../base/mod.ts";
import { PacketReader, PacketWriter, connectPacket } from "../wire/mqtt/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import { PublishForms } from "./publish-forms.ts";

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
          const { bytes, packetIdAt } = forms.get(version, qos, retain);
          appended[version].append(bytes, packetIdAt, packetId);
        }
      }
    }
  };
  const properties = { contentType: "j", userProperties: [["k", "v".repeat(300)]] } as const;
  for (const version of [4, 5] as const) {
    const reader = new PacketReader({ ...NO_PACKETS, publish }, { role: "server", limits: LIMITS.mqtt });
    const writer = new PacketWriter(version);
    writer.connect(connectPacket({ version, clientId: "c" }));
    for (const size of [0, 1, 100, 127, 5_000, 20_000, 3]) {
      for (const qos of [0, 1, 2] as const) {
        writer.publish({
          topic: "a/b".repeat(1 + (size % 5)),
          payload: new Uint8Array(size).fill(size),
          qos,
          retain: false,
          dup: false,
          packetId: 77,
          properties: version === 5 && size % 2 === 0 ? properties : null,
        });
      }
    }
    reader.push(writer.take());
  }
  assert.ok(packetId > 1_000);
  assert.deepEqual(appended[4].take(), alone[4].take());
  assert.deepEqual(appended[5].take(), alone[5].take());
});
