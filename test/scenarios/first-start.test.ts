import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addDevice, connectDevice, rawConnection } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let device: Device;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  device = await addDevice(platform, folder.path, "pump-7");
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

test("every secret is 0600 in a folder of 0700", () => {
  const secrets = join(folder.path, "secrets");
  assert.equal(statSync(secrets).mode & 0o777, 0o700);
  const files = readdirSync(secrets);
  assert.ok(files.length >= 5, files.join(" "));
  for (const file of files) assert.equal(statSync(join(secrets, file)).mode & 0o777, 0o600, file);
  assert.equal(statSync(join(device.folder, "private-key.pem")).mode & 0o777, 0o600);
});

test("the CA is ECDSA P-256 for ten years; the server's certificate names this host and loopback", async () => {
  const ca = new X509Certificate(readFileSync(join(folder.path, "secrets", "ca.crt")));
  assert.equal(ca.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
  const years = (Date.parse(ca.validTo) - Date.parse(ca.validFrom)) / (365.25 * 86_400_000);
  assert.ok(years > 9.9 && years < 10.1, `${years} years`);
  const socket = rawConnection(platform, device);
  await once(socket, "secureConnect");
  const server = socket.getPeerX509Certificate()!;
  socket.destroy();
  assert.match(server.issuer, /Tidewire Issuing CA/); // below it: the client has verified that
  assert.ok(server.checkHost("localhost"));
  for (const address of ["127.0.0.1", "::1"]) assert.ok(server.checkIP(address), address);
});

test("the token is in the log of nobody, and a restart keeps CA, token and devices", async () => {
  const { adminToken } = platform.ready;
  assert.ok(!readFileSync(join(folder.path, "platform.log"), "utf8").includes(adminToken));
  const ca = readFileSync(join(folder.path, "secrets", "ca.crt"), "utf8");
  await platform.stop();
  platform = await PlatformProcess.start(folder.path);
  assert.equal(platform.ready.adminToken, adminToken);
  assert.equal(readFileSync(join(folder.path, "secrets", "ca.crt"), "utf8"), ca);
  const client = await connectDevice(platform, device);
  await client.endAsync();
});

test("without a certificate, or with one of another CA, nobody gets past the handshake", async () => {
  const other = temporaryFolder();
  const stranger = await PlatformProcess.start(other.path);
  const foreign = await addDevice(stranger, other.path, "pump-7");
  await stranger.stop();
  for (const identity of [{}, { key: foreign.key, cert: foreign.cert }]) {
    assert.equal(await bytesAfterConnect(identity), 0);
  }
  other.remove();
});

test("a certificate that is inactive or revoked is refused before CONNECT, and live connections end at once", async () => {
  const path = `/certificates/${device.certificateId}`;
  const client = await connectDevice(platform, device);
  const closed = new Promise((resolve) => client.once("close", () => resolve(null)));
  await platform.api("PUT", `${path}?newStatus=INACTIVE`);
  await closed;
  assert.equal(await bytesAfterConnect(device), 0);
  await platform.api("PUT", `${path}?newStatus=ACTIVE`);
  const again = await connectDevice(platform, device);
  const closedAgain = new Promise((resolve) => again.once("close", () => resolve(null)));
  await platform.api("PUT", `${path}?newStatus=REVOKED`);
  await closedAgain;
  assert.equal(await bytesAfterConnect(device), 0);
  await until("the refusal in the log", async () =>
    /revoked/i.test(readFileSync(join(folder.path, "platform.log"), "utf8")),
  );
});

/** Sends a CONNECT as soon as TLS allows it; how many bytes of MQTT came back before the platform closed. */
async function bytesAfterConnect(identity: Partial<Device>): Promise<number> {
  const socket = rawConnection(platform, identity);
  let bytes = 0;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
  socket.once("secureConnect", () => socket.write(Buffer.from("101000044d5154540502003c00000370756d", "hex")));
  await new Promise((resolve) => socket.once("close", resolve));
  return bytes;
}

test("least privilege: a thing connects only as itself, speaks below its own topics, hears its own commands", async () => {
  const sensor = await addDevice(platform, folder.path, "sensor-1");
  await assert.rejects(
    connectDevice(platform, sensor, { clientId: "pump-7" }),
    /Not authorized|Connection refused|closed/i,
  );
  const client = await connectDevice(platform, sensor);
  const granted = async (filter: string): Promise<boolean> => {
    const [grant] = await client.subscribeAsync(filter, { qos: 1 }).catch(() => [{ qos: 128 }]);
    return grant !== undefined && grant.qos < 128;
  };
  assert.equal(await granted("commands/sensor-1/#"), true);
  assert.equal(await granted("$aws/things/sensor-1/shadow/get/+"), true);
  for (const filter of ["#", "commands/#", "commands/pump-7/#", "telemetry/#", "$aws/things/pump-7/#"]) {
    assert.equal(await granted(filter), false, filter);
  }
  await client.publishAsync("telemetry/sensor-1/t", "1", { qos: 1 });
  await assert.rejects(client.publishAsync("telemetry/pump-7/t", "1", { qos: 1 }), /Not authorized/);
  await client.endAsync();
});

test("things add never writes over a folder that holds a key, nor registers a name twice", async () => {
  const again = await runCli(["things", "add", "other", "--out", device.folder, "--data", folder.path], folder.path);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /DEVICE_FOLDER_EXISTS/);
  const twice = await runCli(
    ["things", "add", "pump-7", "--out", join(folder.path, "twice"), "--data", folder.path],
    folder.path,
  );
  assert.notEqual(twice.code, 0);
  assert.match(twice.stderr, /ALREADY_EXISTS/);
  assert.equal(existsSync(join(folder.path, "twice")), false);
});
