import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LIMITS, assertLimits, isTidewireError } from "../base/mod.ts";
import { PlatformConfigSchema } from "./config.ts";
import { limitsOf } from "./limits.ts";

const refused = (limit: Record<string, string | number>, reason: RegExp): void => {
  assert.throws(
    () => limitsOf({ limits: "default", limit }),
    (error) => isTidewireError(error) && error.code === "CONFIG_VALUE_INVALID" && reason.test(error.message),
  );
};

describe("limits that an operator sets", () => {
  test("nothing set: the defaults, to the last one", () => {
    assert.deepEqual(limitsOf(PlatformConfigSchema.parse({})), LIMITS);
  });

  test("numbers, and units of bytes and time", () => {
    const { mqtt } = limitsOf({
      limits: "default",
      limit: {
        "mqtt.topicLevelsMax": 7,
        "mqtt.topicBytesMax": "2KiB",
        "mqtt.connectTimeout": "30s",
        "mqtt.messagesPerSecondMax": "unlimited",
      },
    });
    assert.equal(mqtt.topicLevelsMax, 7);
    assert.equal(mqtt.topicBytesMax, 2048);
    assert.equal(mqtt.connectTimeout, 30_000);
    assert.equal(mqtt.messagesPerSecondMax, Number.MAX_SAFE_INTEGER);
  });

  test("what devices may store can be set, what one query may ask cannot: that is the same everywhere", () => {
    const { telemetry } = limitsOf({
      limits: "default",
      limit: { "telemetry.seriesPerThingMax": 500, "telemetry.generationAgeMax": "5min" },
    });
    assert.deepEqual(telemetry, { ...LIMITS.telemetry, seriesPerThingMax: 500, generationAgeMax: 300_000 });
    refused({ "telemetry.pointsPerQueryMax": 5 }, /no such limit/);
  });

  test("what a device may keep in its shadows can be set, within what fits a request and the stack", () => {
    const limit = { "shadow.documentBytesMax": "32KiB", "shadow.nestingMax": 8 };
    const { shadow } = limitsOf({ limits: "default", limit });
    assert.deepEqual(shadow, { ...LIMITS.shadow, documentBytesMax: 32_768, nestingMax: 8 });
    refused({ "shadow.nestingMax": "unlimited" }, /levels fit the stack/);
    refused({ "shadow.documentBytesMax": "1MiB" }, /fits a request/);
    refused({ "shadow.apiTimeout": "1s" }, /no such limit/);
  });

  test("how patient deliveries of rules are can be set, not what a rule's statement may be", () => {
    const limit = { "rules.retryDelayMax": "1min", "rules.deliveryGiveUpAfter": "7d" };
    const { rules } = limitsOf({ limits: "default", limit });
    assert.deepEqual(rules, { ...LIMITS.rules, retryDelayMax: 60_000, deliveryGiveUpAfter: 604_800_000 });
    refused({ "rules.retryDelayMin": "1h" }, /retryDelayMin < rules.retryDelayMax/);
    refused({ "rules.sqlDepthMax": 1_000 }, /no such limit/);
  });

  test("how large a policy may be can be set, within what fits a request", () => {
    const limit = { "identity.policyBytesMax": "100KiB", "identity.policyStatementsMax": 10_000 };
    const { identity } = limitsOf({ limits: "default", limit });
    assert.deepEqual(identity, { ...LIMITS.identity, policyBytesMax: 102_400, policyStatementsMax: 10_000 });
    refused({ "identity.policyBytesMax": "1MiB" }, /a policy fits a request/);
    refused({ "identity.rsaBitsMin": 512 }, /no such limit/);
  });

  test("a larger packet takes along what has to hold it, and contradicts nothing", () => {
    const limits = limitsOf({ limits: "default", limit: { "mqtt.packetBytesMax": "32MiB" } });
    assertLimits(limits);
    assert.ok(limits.log.recordBytesMax > 32 * 1024 * 1024);
    assert.ok(limits.mqtt.outputBytesMax >= 32 * 1024 * 1024);
    assert.ok(limits.log.groupBytesMax > limits.log.recordBytesMax);
    assert.equal(limits.mqtt.topicBytesMax, LIMITS.mqtt.topicBytesMax);
  });

  test("a smaller one needs no more either", () => {
    const { mqtt } = limitsOf({ limits: "default", limit: { "mqtt.packetBytesMax": "16KiB" } });
    assert.equal(mqtt.connectBytesMax, 16_384);
  });

  test("what was set is never changed behind the operator's back: a contradiction is told", () => {
    refused({ "mqtt.packetBytesMax": "32MiB", "log.recordBytesMax": "1MiB" }, /fits a log record/);
  });

  test("unknown names and values are refused with a hint", () => {
    refused({ "mqtt.packetByteMax": 5 }, /did you mean 'mqtt\.packetBytesMax'/);
    refused({ packetBytesMax: 5 }, /no such limit/);
    refused({ "rules.rulesMax": 5 }, /no such limit/);
    refused({ "mqtt.packetBytesMax": 0 }, /above 0/);
    refused({ "mqtt.packetBytesMax": "4 elephants" }, /above 0/);
    refused({ "mqtt.packetBytesMax": "" }, /above 0/);
    refused({ "mqtt.__proto__": 5 }, /no such limit/);
  });

  test("the preset of the protocol holds together, survives JSON, and single limits win over it", () => {
    const limits = limitsOf({ limits: "protocol", limit: { "mqtt.topicLevelsMax": 10 } });
    assertLimits(limits);
    assert.deepEqual(JSON.parse(JSON.stringify(limits)), limits);
    assert.equal(limits.mqtt.topicLevelsMax, 10);
    assert.equal(limits.mqtt.packetBytesMax, 268_435_460);
    assert.equal(limits.mqtt.inflightMax, 65_535);
    assert.equal(limits.mqtt.sessionExpirySecondsMax, 0xffff_ffff);
  });
});

test("what the log keeps is set by age and by bytes", () => {
  const limit = { "log.retentionAge": "30d", "log.retentionBytes": "20GiB" };
  const { log } = limitsOf({ limits: "default", limit });
  assert.deepEqual([log.retentionAge, log.retentionBytes], [30 * 86_400_000, 20 * 2 ** 30]);
});
