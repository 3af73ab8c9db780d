import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { listenerUrlOf, shownUrl } from "./listener-url.ts";

const OPEN = { auth: "none", proxy: null };
const SECURE = { auth: "certificate", proxy: null };

for (const [text, listener] of [
  ["mqtt://127.0.0.1:1884?auth=none", { kind: "mqtt", host: "127.0.0.1", port: 1884, ...OPEN }],
  ["mqtt://[::1]:1884?auth=none", { kind: "mqtt", host: "::1", port: 1884, ...OPEN }],
  ["ws://127.0.0.1:80?auth=none", { kind: "ws", host: "127.0.0.1", port: 80, ...OPEN }],
  ["ws://127.0.0.1:0/mqtt?auth=none", { kind: "ws", host: "127.0.0.1", port: 0, ...OPEN }],
  ["mqtts://[::]:8884", { kind: "mqtts", host: "::", port: 8884, ...SECURE }],
  ["mqtts://[::]:8884?auth=password", { ...SECURE, kind: "mqtts", host: "::", port: 8884, auth: "password" }],
  ["wss://0.0.0.0:8885?auth=jwt", { ...SECURE, kind: "wss", host: "0.0.0.0", port: 8885, auth: "jwt" }],
  ["wss://0.0.0.0:443/", { kind: "wss", host: "0.0.0.0", port: 443, ...SECURE }],
  [
    "mqtt://0.0.0.0:1883?auth=none&exposed=yes-without-encryption",
    { kind: "mqtt", host: "0.0.0.0", port: 1883, ...OPEN },
  ],
  [
    "mqtts://[::]:8884?proxy=v2&from=10.0.0.0/8,2001:db8::/32,192.0.2.7",
    {
      kind: "mqtts",
      host: "::",
      port: 8884,
      auth: "certificate",
      proxy: { version: "v2", from: ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"] },
    },
  ],
] as const) {
  test(`a listener is taken: ${text}`, () => assert.deepEqual(listenerUrlOf(text), listener));
}

for (const [text, reason] of [
  ["mqtt://0.0.0.0:1884?auth=none", /127\.0\.0\.1.*exposed/],
  ["mqtt://192.168.1.2:1884?auth=none", /127\.0\.0\.1/],
  ["mqtt://0.0.0.0:1884?auth=none&exposed=yes", /yes-without-encryption/],
  ["mqtt://0.0.0.0:1884?auth=none&exposed", /yes-without-encryption/],
  ["mqtt://localhost:1884?auth=none", /address/],
  ["mqtt://127.0.0.1:1884", /auth=none/],
  ["mqtt://127.0.0.1:1884?auth=password", /in the clear: use mqtts:/],
  ["ws://127.0.0.1:1884?auth=jwt", /in the clear: use wss:/],
  ["mqtts://127.0.0.1:1884?auth=psk", /password, jwt, none/],
  ["mqtts://127.0.0.1:1884?auth=none", /without login/],
  ["wss://127.0.0.1:1884?exposed=yes-without-encryption", /without login/],
  ["mqtt://127.0.0.1?auth=none", /form/],
  ["mqtt://127.0.0.1:70000?auth=none", /65535/],
  ["mqtt://127.0.0.1:1884/mqtt?auth=none", /path/],
  ["mqtt://127.0.0.1:1884?auth=none&auth=none", /twice/],
  ["mqtt://127.0.0.1:1884?auth=none&prxy=v2", /'prxy'/],
  ["https://127.0.0.1:1884", /form/],
  ["mqtts://127.0.0.1:1884?proxy=v2", /\?from/],
  ["mqtts://127.0.0.1:1884?from=10.0.0.1", /\?proxy/],
  ["mqtts://127.0.0.1:1884?proxy=v3&from=10.0.0.1", /v1 or v2/],
  ["mqtts://127.0.0.1:1884?proxy=v2&from=10.0.0.0/33", /no network/],
  ["mqtts://127.0.0.1:1884?proxy=v2&from=proxy.example", /no network/],
  ["rubbish", /form/],
] as const) {
  test(`a listener is refused: ${text}`, () => {
    assert.throws(
      () => listenerUrlOf(text),
      (error) => isTidewireError(error) && error.code === "CONFIG_VALUE_INVALID" && reason.test(error.message),
    );
  });
}

test("an address is shown as it was written", () => {
  assert.equal(shownUrl(listenerUrlOf("wss://[::1]:0"), 4711), "wss://[::1]:4711");
});
