/** A device is taken out of service: the real platform, a real connection, a restart. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectMqtt } from "mqtt";
import type { MqttClient } from "mqtt";
import type { ForgetReport, ForgottenThings } from "../../src/cloud/api/contract.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

function happens(client: MqttClient, event: "connect" | "close"): Promise<void> {
  client.on("error", () => {});
  return new Promise((resolve) => void client.once(event, () => resolve()));
}

test("retired: cut at once, revoked for good, sessions and retained messages gone, data kept, name blocked", async () => {
  const folder = temporaryFolder();
  const platform = await PlatformProcess.start(folder.path);
  try {
    const cli = (...args: readonly string[]) => runCli([...args, "--data", folder.path], folder.path);
    const added = await cli("things", "add", "pump-7", "--out", join(folder.path, "pump-7"));
    assert.equal(added.code, 0, added.stderr);
    const file = (name: string): Buffer => readFileSync(join(folder.path, "pump-7", name));
    const connect = (): MqttClient =>
      connectMqtt(platform.ready.mqtts, {
        protocolVersion: 5,
        clientId: "pump-7",
        clean: false,
        properties: { sessionExpiryInterval: 3600 },
        cert: file("certificate.pem"),
        key: file("private-key.pem"),
        ca: file("ca.pem"),
        reconnectPeriod: 0,
      });
    const device = connect();
    await happens(device, "connect");
    await device.publishAsync("telemetry/pump-7/engine", '{"rpm":900}', { qos: 1, retain: true });
    await device.subscribeAsync("commands/pump-7/#", { qos: 1 });
    await until("its reading is stored", async () => {
      const { values } = await platform.api<{ values: unknown[] }>("GET", "/api/things/pump-7/latest");
      return values.length > 0;
    });

    const hesitant = await cli("things", "retire", "pump-7");
    assert.notEqual(hesitant.code, 0);
    assert.match(hesitant.stderr, /Retiring 'pump-7' means:\n.*1 certificate is revoked.*\n.*its connection is cut/);
    assert.match(hesitant.stderr, /add --yes/);
    assert.equal(device.connected, true);
    const closed = happens(device, "close");
    const retired = await cli("things", "retire", "pump-7", "--block-name", "--yes", "--json");
    assert.equal(retired.code, 0, retired.stderr);
    await closed;
    const report = JSON.parse(retired.stdout) as ForgetReport;
    const { certificatesRevoked, sessions, retained } = report.removed;
    assert.deepEqual({ certificatesRevoked, sessions, retained }, { certificatesRevoked: 1, sessions: 1, retained: 1 });
    assert.deepEqual([report.state, report.data, report.name], ["done", "kept", "blocked"]);
    // Whichever way it is asked for, the outcome is told in the same words.
    const { things } = await platform.api<ForgottenThings>("GET", "/api/retirements");
    assert.deepEqual(things, [{ ...report, remains: things[0]?.remains }]);
    assert.deepEqual(await platform.api<ForgetReport>("GET", `/api/forgotten/${report.id}`), report);
    const refused = connect();
    await happens(refused, "close");
    assert.equal(refused.connected, false);
    const { values } = await platform
      .api<{ values: unknown[] }>("GET", "/api/things/pump-7/latest")
      .catch(() => ({ values: null }));
    assert.ok(values === null || values.length > 0);
    const again = await cli("things", "add", "pump-7", "--out", join(folder.path, "again"));
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /is not given again/);
    assert.match((await cli("things", "retired")).stdout, /\npump-7 .* done +kept +blocked\n$/);
    assert.equal((await cli("things", "retire", "pump-7", "--free-name")).code, 0);
    assert.match((await cli("things", "retired")).stdout, / kept +free\n$/);
    assert.equal((await cli("things", "add", "pump-7", "--out", join(folder.path, "again"))).code, 0);
    assert.match((await cli("things", "retired")).stdout, / kept +taken\n$/);
    const unknown = await cli("things", "retire", "nobody");
    assert.match(unknown.stderr, /no thing named 'nobody'/);
    assert.match(
      readFileSync(join(folder.path, "platform.log"), "utf8"),
      /"a thing was retired".*"audit":true|"audit":true.*"a thing was retired"/,
    );
  } finally {
    await platform.stop();
    folder.remove();
  }
});
