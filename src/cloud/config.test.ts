import assert from "node:assert/strict";
import { test } from "node:test";
import { isTidewireError } from "../base/mod.ts";
import { PlatformConfigSchema, plainListenerOf } from "./config.ts";

test("the defaults are a whole configuration", () => {
  const config = PlatformConfigSchema.parse({});
  assert.equal(config.mqttsPort, 8883);
  assert.equal(config.httpPort, 8080);
});

test("a listener without certificates is taken on loopback when it says so", () => {
  assert.deepEqual(plainListenerOf("mqtt://127.0.0.1:1884?auth=none"), { host: "127.0.0.1", port: 1884 });
  assert.deepEqual(plainListenerOf("mqtt://[::1]:1884?auth=none"), { host: "::1", port: 1884 });
});

for (const [text, reason] of [
  ["mqtt://0.0.0.0:1884?auth=none", /127\.0\.0\.1/],
  ["mqtt://localhost:1884?auth=none", /127\.0\.0\.1/],
  ["mqtt://192.168.1.2:1884?auth=none", /127\.0\.0\.1/],
  ["mqtt://127.0.0.1:1884", /auth=none/],
  ["mqtts://127.0.0.1:1884?auth=none", /only mqtt/],
  ["mqtt://127.0.0.1?auth=none", /no port/],
  ["rubbish", /not a URL/],
] as const) {
  test(`a listener is refused: ${text}`, () => {
    assert.throws(
      () => plainListenerOf(text),
      (error) => isTidewireError(error) && error.code === "CONFIG_VALUE_INVALID" && reason.test(error.message),
    );
  });
}
