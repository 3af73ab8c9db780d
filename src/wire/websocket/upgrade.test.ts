import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeUpgrade } from "./upgrade.ts";
import type { UpgradeRequest } from "./upgrade.ts";

const GOOD: UpgradeRequest = {
  method: "GET",
  httpVersion: "1.1",
  headers: {
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "mqtt",
  },
};

function withHeader(name: string, value: string | readonly string[] | undefined): UpgradeRequest {
  return { ...GOOD, headers: { ...GOOD.headers, [name]: value } };
}

for (const [offer, subprotocol] of [
  ["mqtt", "mqtt"],
  ["mqttv3.1", "mqttv3.1"],
  ["mqttv3.1, mqtt", "mqtt"],
  ["chat,mqtt ,x", "mqtt"],
  [["chat", "mqtt"], "mqtt"],
] as const) {
  test(`the client offers ${String(offer)}: ${subprotocol} is chosen [MQTT-6.0.0-3] [MQTT-6.0.0-4] [MQTT311-6.0.0-3] [MQTT311-6.0.0-4]`, () => {
    const verdict = judgeUpgrade(withHeader("sec-websocket-protocol", offer));
    assert.deepEqual(verdict, { ok: true, key: "dGhlIHNhbXBsZSBub25jZQ==", subprotocol });
  });
}

for (const [title, request, status, reason] of [
  ["no subprotocol [MQTT-6.0.0-3]", withHeader("sec-websocket-protocol", undefined), 400, /'mqtt'/],
  ["another subprotocol [MQTT-6.0.0-3]", withHeader("sec-websocket-protocol", "amqp, mqtt5"), 400, /'mqtt'/],
  ["no key", withHeader("sec-websocket-key", undefined), 400, /Key/],
  ["a key of 15 bytes", withHeader("sec-websocket-key", "dGhlIHNhbXBsZSBub25j"), 400, /Key/],
  ["an older version", withHeader("sec-websocket-version", "8"), 426, /13/],
  ["no version", withHeader("sec-websocket-version", undefined), 426, /13/],
  ["another upgrade", withHeader("upgrade", "h2c"), 400, /Upgrade/],
  ["POST", { ...GOOD, method: "POST" }, 400, /GET/],
  ["HTTP/1.0", { ...GOOD, httpVersion: "1.0" }, 400, /1\.1/],
] as const) {
  test(`refused: ${title}`, () => {
    const verdict = judgeUpgrade(request);
    assert.ok(!verdict.ok);
    assert.equal(verdict.status, status);
    assert.match(verdict.reason, reason);
  });
}
