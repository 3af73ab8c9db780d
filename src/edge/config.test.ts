import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ErrorCode } from "../base/mod.ts";
import { LIMITS, isTidewireError, mib } from "../base/mod.ts";
import { agentConfigOf, loadAgentConfig } from "./config.ts";

const GOOD = {
  thing: "press-7",
  broker: "mqtts://broker.example.org",
  certificate: "device.crt",
  privateKey: "keys/device.key",
  ca: "/etc/tidewire/ca.crt",
};
const FILE = "/srv/agent/agent.yaml";

test("what is left out has sensible values; paths are relative to the file", () => {
  assert.deepEqual(agentConfigOf(GOOD, FILE), {
    file: FILE,
    thing: "press-7",
    broker: { host: "broker.example.org", port: 8883, url: "mqtts://broker.example.org:8883" },
    renewal: { host: "broker.example.org", port: 8443 },
    certificate: "/srv/agent/device.crt",
    privateKey: "/srv/agent/keys/device.key",
    ca: "/etc/tidewire/ca.crt",
    data: "/srv/agent/data",
    sources: [{ type: "system", every: 1000, disk: "/" }],
    outbox: { messages: LIMITS.edge.outboxMessagesMax, bytes: LIMITS.edge.outboxBytesMax },
  });
});

test("everything can be said", () => {
  const config = agentConfigOf(
    {
      ...GOOD,
      broker: "mqtts://[::1]:18883",
      renewal: "https://[::1]:18443",
      data: "../data",
      sources: [{ type: "system", every: "500ms", disk: "/var" }, { type: "system" }],
      outbox: { messages: 5000, bytes: "64MiB" },
    },
    FILE,
  );
  assert.deepEqual(config.broker, { host: "::1", port: 18_883, url: "mqtts://[::1]:18883" });
  assert.deepEqual(config.renewal, { host: "::1", port: 18_443 });
  assert.equal(config.data, "/srv/data");
  assert.deepEqual(
    config.sources.map(({ every }) => every),
    [500, 1000],
  );
  assert.deepEqual(config.outbox, { messages: 5000, bytes: mib(64) });
});

test("the command line goes before the file, and its paths are relative to where it was typed", () => {
  const config = agentConfigOf(GOOD, FILE, { broker: "mqtts://127.0.0.1:9", data: "here" });
  assert.equal(config.broker.port, 9);
  assert.equal(config.data, join(process.cwd(), "here"));
});

for (const [what, root, code, message] of [
  ["a misspelt key", { ...GOOD, brokr: "x" }, "CONFIG_KEY_UNKNOWN", /'brokr'.*Did you mean 'broker'\?/],
  ["a key of nowhere", { ...GOOD, xyzzy: 1 }, "CONFIG_KEY_UNKNOWN", /'xyzzy'.*Known keys here: thing, broker/],
  ["a misspelt key inside", { ...GOOD, outbox: { mesages: 5 } }, "CONFIG_KEY_UNKNOWN", /outbox\.mesages.*'messages'/],
  [
    "a misspelt key in a list",
    { ...GOOD, sources: [{ type: "system", evry: "1s" }] },
    "CONFIG_KEY_UNKNOWN",
    /sources\.0\.evry.*'every'/,
  ],
  ["no mapping at all", ["a"], "CONFIG_VALUE_INVALID", /the whole file/],
  ["nothing", {}, "CONFIG_VALUE_INVALID", /'thing': it is missing/],
  ["no key", { ...GOOD, privateKey: undefined }, "CONFIG_VALUE_INVALID", /'privateKey'/],
  ["a number as thing", { ...GOOD, thing: 7 }, "CONFIG_VALUE_INVALID", /'thing'.*text/],
  ["a thing with a slash", { ...GOOD, thing: "a/b" }, "CONFIG_VALUE_INVALID", /'thing'.*letters/],
  ["a thing with a wildcard", { ...GOOD, thing: "+" }, "CONFIG_VALUE_INVALID", /'thing'/],
  ["an unencrypted broker", { ...GOOD, broker: "mqtt://h:1883" }, "CONFIG_VALUE_INVALID", /encrypted only: mqtts/],
  ["a broker without scheme", { ...GOOD, broker: "h:8883" }, "CONFIG_VALUE_INVALID", /mqtts:\/\/example/],
  ["a broker with a path", { ...GOOD, broker: "mqtts://h:1/x" }, "CONFIG_VALUE_INVALID", /'broker'/],
  ["a password in the broker", { ...GOOD, broker: "mqtts://u:p@h:1" }, "CONFIG_VALUE_INVALID", /'broker'/],
  ["an impossible port", { ...GOOD, broker: "mqtts://h:70000" }, "CONFIG_VALUE_INVALID", /no port 70000/],
  ["no sources", { ...GOOD, sources: [] }, "CONFIG_VALUE_INVALID", /'sources'.*at least 1/],
  ["one source not as a list", { ...GOOD, sources: { type: "system" } }, "CONFIG_VALUE_INVALID", /must be a list/],
  ["an unknown source", { ...GOOD, sources: [{ type: "gpu" }] }, "CONFIG_VALUE_INVALID", /sources\.0\.type.*'gpu'/],
  [
    "a time without unit",
    { ...GOOD, sources: [{ type: "system", every: 1 }] },
    "CONFIG_VALUE_INVALID",
    /sources\.0\.every.*1s/,
  ],
  [
    "too short a time",
    { ...GOOD, sources: [{ type: "system", every: "1ms" }] },
    "CONFIG_VALUE_INVALID",
    /between 100 ms/,
  ],
  ["too small an outbox", { ...GOOD, outbox: { bytes: "1KiB" } }, "CONFIG_VALUE_INVALID", /outbox\.bytes.*between/],
  ["half a message", { ...GOOD, outbox: { messages: 1000.5 } }, "CONFIG_VALUE_INVALID", /whole number/],
] as const satisfies readonly (readonly [string, unknown, ErrorCode, RegExp])[]) {
  test(`${what}: one sentence that names the key`, () => {
    assert.throws(
      () => agentConfigOf(root, FILE),
      (error) => {
        assert.ok(isTidewireError(error));
        assert.equal(error.code, code);
        assert.match(`${error.message} ${error.fix}`, message);
        assert.match(error.message, /agent\.yaml/);
        assert.equal(error.entry.exit, 2);
        return true;
      },
    );
  });
}

test("a file that is read from the disk, and one that is not there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-config-"));
  const path = join(folder, "agent.yaml");
  const lines = Object.entries(GOOD).map(([key, value]) => `${key}: ${value}`);
  writeFileSync(path, `${lines.join("\n")}\nsources: [{type: system, every: 2s}]\n`);
  const config = await loadAgentConfig(path);
  assert.equal(config.certificate, join(folder, "device.crt"));
  assert.equal(config.sources[0]?.every, 2000);
  await assert.rejects(
    loadAgentConfig(join(folder, "none.yaml")),
    (error) => isTidewireError(error) && error.code === "CONFIG_FILE_UNREADABLE" && error.entry.exit === 2,
  );
  rmSync(folder, { recursive: true, force: true });
});
