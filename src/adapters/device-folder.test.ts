import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { isDeviceFolder, isUnfinishedDeviceFolder, writeDeviceFolder } from "./device-folder.ts";
import { parseSimpleYaml } from "./simple-yaml.ts";

function scenario(name: string, run: (folder: string) => void): void {
  test(name, () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-device-"));
    try {
      run(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

const DEVICE = { broker: "mqtts://[::1]:8883", certificatePem: "c", privateKeyPem: "k", caPem: "a" };

scenario("every name that a thing may have is read back from agent.yaml as that text", (folder) => {
  for (const [i, thing] of [
    "pump-7",
    "123",
    "1e3",
    "0x10",
    "null",
    "true",
    "no",
    "-",
    "a:",
    ":a",
    "::",
    "a:b",
  ].entries()) {
    const path = join(folder, String(i));
    writeDeviceFolder({ ...DEVICE, path, thing });
    const text = readFileSync(join(path, "agent.yaml"), "utf8");
    for (const read of [parse, parseSimpleYaml]) {
      const config = read(text) as Record<string, unknown>;
      assert.deepEqual([config["thing"], config["broker"]], [thing, DEVICE.broker], `${thing} by ${read.name}`);
    }
  }
});

scenario("the key is its owner's alone; a folder with a device is never written over", (folder) => {
  const path = join(folder, "pump");
  writeDeviceFolder({ ...DEVICE, path, thing: "pump" });
  assert.equal(statSync(join(path, "private-key.pem")).mode & 0o777, 0o600);
  assert.deepEqual([isDeviceFolder(path), isUnfinishedDeviceFolder(path)], [true, false]);
  assert.throws(() => writeDeviceFolder({ ...DEVICE, path, thing: "pump" }), { code: "DEVICE_FOLDER_EXISTS" });
  rmSync(join(path, "agent.yaml"));
  assert.deepEqual([isDeviceFolder(path), isUnfinishedDeviceFolder(path)], [true, true]);
  assert.throws(() => writeDeviceFolder({ ...DEVICE, path, thing: "pump" }), { code: "DEVICE_FOLDER_EXISTS" });
});

scenario("what cannot be written whole is taken back; what was there before stays", (folder) => {
  const path = join(folder, "pump");
  mkdirSync(join(path, "agent.yaml.d"), { recursive: true });
  mkdirSync(join(path, "ca.pem")); // in the way of a file
  writeFileSync(join(path, "notes.txt"), "mine");
  assert.throws(() => writeDeviceFolder({ ...DEVICE, path, thing: "pump" }), { code: "DATA_FOLDER_UNUSABLE" });
  assert.equal(existsSync(join(path, "private-key.pem")), false);
  assert.ok(readdirSync(path).includes("notes.txt"));
});
