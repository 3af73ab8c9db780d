import assert from "node:assert/strict";
import { test } from "node:test";
import { PlatformConfigSchema } from "./config.ts";

test("the defaults are a whole configuration", () => {
  const config = PlatformConfigSchema.parse({});
  assert.equal(config.mqttsPort, 8883);
  assert.equal(config.httpPort, 8080);
});
