import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { MqttClient } from "mqtt";
import { SimLogger } from "../../sim/world.ts";
import { days } from "../../src/base/mod.ts";
import { loadAgentConfig, runAgent } from "../../src/edge/mod.ts";
import type { Agent } from "../../src/edge/mod.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

interface Principals {
  readonly principals: readonly string[];
}

test("an agent whose certificate is two thirds through its life gets another, comes back with it and with the new root's trust, over a rollover of root and issuing CA; no reading is missed", async () => {
  const folder = temporaryFolder();
  const platform = await PlatformProcess.start(folder.path);
  const ca = (...args: string[]) => runCli(["ca", ...args, "--data", folder.path], folder.path);
  let agent: Agent | null = null;
  let watcher: MqttClient | null = null;
  try {
    const device = await addDevice(platform, folder.path, "edge-1");
    const observer = await addDevice(platform, folder.path, "observer");
    const anything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }] };
    await platform.api("POST", "/policies/anything", { policyDocument: JSON.stringify(anything) });
    const target = `arn:aws:iot:us-east-1:000000000000:cert/${observer.certificateId}`;
    await platform.api("PUT", "/target-policies/anything", { target });
    watcher = await connectDevice(platform, observer);
    const seen: string[] = [];
    watcher.on("message", (_topic, payload) => {
      const { eventType, disconnectReason = "" } = JSON.parse(payload.toString()) as Record<string, string>;
      seen.push(`${eventType} ${disconnectReason}`.trim());
    });
    await watcher.subscribeAsync("$aws/events/presence/+/edge-1", { qos: 1 });
    assert.match(readFileSync(join(device.folder, "agent.yaml"), "utf8"), /renewal: "https:\/\/127\.0\.0\.1:\d+"/);
    for (const args of [
      ["rollover", "intermediate"],
      ["rollover", "root"],
    ]) {
      const { code, stdout, stderr } = await ca(...args);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /former issuing/);
    }
    const refused = await ca("retire", "--yes");
    assert.equal(refused.code, 4, refused.stdout);
    assert.match(refused.stderr, /2 active certificate\(s\) were issued below the former root/);

    const logger = new SimLogger();
    // Ahead of the platform's clock: for the agent the certificate is 23 of its 30 days old; TLS goes by the real one.
    const clock = { now: () => Date.now() + days(23), monotonic: () => performance.now() };
    const running = (agent = await runAgent(await loadAgentConfig(join(device.folder, "agent.yaml")), {
      logger,
      clock,
    }));
    const principals = async (): Promise<readonly string[]> =>
      (await platform.api<Principals>("GET", "/things/edge-1/principals")).principals;
    await until("a second certificate", async () => (await principals()).length === 2);
    const renewed = (): boolean => logger.lines.some(({ message }) => message === "the certificate was renewed");
    await until("the agent uses it", () => Promise.resolve(renewed()));
    await until("all is delivered", () =>
      Promise.resolve(running.status().uplink.state === "online" && running.status().outbox.waiting === 0),
    );
    const { dropped, expired, refused: turnedAway } = running.status().outbox;
    assert.deepEqual({ dropped, expired, turnedAway }, { dropped: 0, expired: 0, turnedAway: 0 });
    // The second connection has taken the first one's place: the device was never away, and sent nothing twice.
    await until("the broker tells of it", () => Promise.resolve(seen.length === 3));
    assert.deepEqual(seen, ["connected", "disconnected DUPLICATE_CLIENTID", "connected"]);
    assert.equal(await platform.metric("tidewire_store_duplicates_total"), 0);
    await watcher.endAsync(true);
    await platform.api("PUT", `/certificates/${observer.certificateId}?newStatus=INACTIVE`);
    await running.stop();

    const { content } = JSON.parse(readFileSync(join(device.folder, "data", "identity.json"), "utf8")) as {
      content: {
        state: { name: string; current: { certificatePem: string } };
        trustPem: string;
        trustManaged: boolean;
      };
    };
    assert.deepEqual([content.state.name, content.trustManaged], ["settled", true]);
    assert.equal(content.trustPem.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.notEqual(
      new X509Certificate(content.state.current.certificatePem).issuer,
      new X509Certificate(device.cert).issuer,
    );

    // Without the device's old certificate nobody needs the old root any more; the agent, started anew, does not notice.
    await platform.api("PUT", `/certificates/${device.certificateId}?newStatus=INACTIVE`);
    const retired = await ca("retire", "--yes");
    assert.equal(retired.code, 0, retired.stderr);
    assert.doesNotMatch(retired.stdout, /former/);
    const again = (agent = await runAgent(await loadAgentConfig(join(device.folder, "agent.yaml")), {
      logger: new SimLogger(),
    }));
    await until("it is back", () => Promise.resolve(again.status().uplink.state === "online"));
    const listed = await runCli(["certs", "--within", "31d", "--data", folder.path], folder.path);
    assert.match(listed.stdout, /edge-1/);
  } finally {
    await watcher?.endAsync(true);
    await agent?.stop();
    await platform.stop();
    folder.remove();
  }
});
