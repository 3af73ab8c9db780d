/** A new device joins with one line: the whole program, and the one file that a small device gets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundleAgent } from "../../tools/bundle-agent.ts";
import { CertificateAuthority } from "../../src/adapters/pki/mod.ts";
import { openSecrets } from "../../src/adapters/secrets/mod.ts";
import { systemClock } from "../../src/adapters/system.ts";
import { SimLogger } from "../../sim/world.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
const device = temporaryFolder();
let platform: PlatformProcess;
let url: string;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  url = `https://127.0.0.1:${new URL(platform.ready.https).port}`;
});

after(async () => {
  await platform.stop();
  folder.remove();
  device.remove();
});

async function invite(...args: readonly string[]): Promise<string> {
  const { stdout, code, stderr } = await runCli(["things", "invite", ...args, "--data", folder.path], device.path);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test("one line on the device: it joins as its thing, connects, and the code is used up", async () => {
  const code = await invite("pump-7");
  assert.match(code, /^([0-9A-Z]{4}-){5}[0-9A-Z]{4}$/);
  const out = join(device.path, "pump-7");
  const joined = await runCli(["agent", "join", url, code.toLowerCase(), "--out", out], device.path);
  assert.equal(joined.code, 0, joined.stderr);
  assert.match(joined.stdout, /Joined mqtts:\/\/127\.0\.0\.1:\d+ as pump-7/);
  assert.deepEqual(readdirSync(out).toSorted(), ["agent.yaml", "ca.pem", "certificate.pem", "private-key.pem"]);
  const agent = spawn(process.execPath, ["src/main.ts", "agent", "--config", join(out, "agent.yaml")], {
    stdio: "ignore",
  });
  try {
    await until("the device is online", async () => {
      const { presence } = await platform.api<{ presence: { state: string } }>("GET", "/api/things/pump-7");
      return presence.state === "online";
    });
  } finally {
    agent.kill();
  }
  const again = await runCli(["agent", "join", url, code, "--out", join(device.path, "thief")], device.path);
  assert.equal(again.code, 4);
  assert.match(again.stderr, /it was used already[\s\S]*tidewire things invite/);
});

test("the bundle joins too, by a template", async () => {
  const templateBody = JSON.stringify({
    Parameters: { Line: { Type: "String" } },
    Resources: {
      thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { "Fn::Sub": "unit-${Line}" } } },
      certificate: {
        Type: "AWS::IoT::Certificate",
        Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } },
      },
      policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
    },
  });
  await platform.api("POST", "/provisioning-templates", { templateName: "units", templateBody, enabled: true });
  const code = await invite("--template", "units", "--parameter", "Line=3");
  const bundle = await bundleAgent(join(device.path, "agent.mjs"));
  const child = spawn(process.execPath, [bundle, "join", url, code], {
    cwd: device.path,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await new Promise((resolve) => void child.once("close", resolve));
  assert.equal(child.exitCode, 0, said);
  assert.match(said, /as unit-3/);
  assert.ok(existsSync(join(device.path, "unit-3", "agent.yaml")));
  assert.ok(!existsSync(join(device.path, "joining-key.pem")));
});

test("who only pretends to be the platform gets neither the code nor the device", async () => {
  const code = await invite("pump-8");
  const secrets = openSecrets(join(device.path, "impostor"), { logger: new SimLogger() });
  const impostor = await CertificateAuthority.open({ secrets, clock: systemClock, logger: new SimLogger(), host: "x" });
  const { keyPem, chainPem } = await impostor.serverCertificate({ names: ["localhost"], addresses: ["127.0.0.1"] });
  const { caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection");
  for (const shown of [impostor.certificatePem, caPem, "nonsense"]) {
    const heard: string[] = [];
    const server = createServer({ key: keyPem, cert: chainPem }, (request, response) => {
      request.on("data", (chunk: Buffer) => heard.push(chunk.toString()));
      response.end(JSON.stringify({ caPem: shown }));
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const out = join(device.path, "fooled");
    const { code: status, stderr } = await runCli(["agent", "join", address, code, "--out", out], device.path);
    server.closeAllConnections();
    server.close();
    assert.equal(status, 6, stderr);
    assert.match(stderr, /not the platform that made this code[\s\S]*do not go on/);
    assert.deepEqual(heard, [], "the code was not said");
    assert.ok(!existsSync(join(out, "agent.yaml")));
  }
});

test("mistakes are told as a new user would want them", async () => {
  const attempt = async (...args: readonly string[]): Promise<string> => {
    const { code, stderr } = await runCli(["agent", "join", ...args, "--out", join(device.path, "none")], device.path);
    assert.notEqual(code, 0);
    return stderr;
  };
  assert.match(await attempt(url, "ABC"), /it has 3 letters and digits, not 24/);
  assert.match(await attempt("https://127.0.0.1:1", "0000-0000-0000-0000-0000-0000"), /cannot be reached[\s\S]*8443/);
  assert.match(await attempt(`http://127.0.0.1:1`, "0000-0000-0000-0000-0000-0000"), /must be https/);
  const wrong = await invite("pump-9");
  const guessed = `${wrong[0] === "0" ? "1" : "0"}${wrong.slice(1)}`;
  assert.match(await attempt(url, guessed), /nobody knows it/);
  const log = readFileSync(join(folder.path, "platform.log"), "utf8");
  assert.ok(!log.includes(wrong), "no code in the log");
});
