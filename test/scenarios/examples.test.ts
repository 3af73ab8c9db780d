/** The examples of `--help`, one after the other, as a newcomer would try them: in a shell, beside a platform's data folder. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { EXAMPLES } from "../../src/cli/examples.ts";
import type { AlertPage, KeyList } from "../../src/cloud/api/contract.ts";
import { addDevice } from "./support/device.ts";
import { PlatformProcess, ROOT, temporaryFolder, until } from "./support/platform-process.ts";

/** What is not run here, and why. */
const NOT_HERE: Readonly<Record<string, string>> = {
  up: "stays in the foreground",
  agent: "likewise",
  "agent join": "needs its code: join.test.ts",
  "provision bulk": "needs a template: provision-bulk.test.ts",
  "certs readmit": "needs a certificate that is over",
  "rules dead show": "needs a dead letter",
  "rules dead edit": "likewise",
  "rules move": "needs a second platform: rules-move.test.ts",
  "rules export": "likewise",
  "rules import": "likewise",
  "shadow watch": "ends with Ctrl-C: shadows.test.ts",
  query: "query.test.ts",
};
/** Those of a platform that stands still. */
const STOPPED = ["ca export-root", "ca import", "ca passphrase"];
/** Single ones: without end, or without somebody else. */
const NOT_ALONE = [
  /--follow/,
  /s3:\/\//,
  /^sensor /,
  /sub 'telemetry|sub 'factory|sub firmware/,
  /--template/,
  /dead (?:replay|drop) 17/,
];
/** What others need goes first, */
const FIRST = [
  "things add",
  "rules put",
  "schemas put",
  "schedules put",
  "endpoints put",
  "shadow update",
  "audit key",
  "audit checkpoint",
  "pull",
];
/** and what takes it away, last. */
const LAST = [
  "rules delete",
  "schemas delete",
  "schedules delete",
  "endpoints delete",
  "users remove",
  "keys revoke",
  "certs revoke",
  "things retire",
  "things retired",
  "forget",
  "token rotate",
  "token revoke",
];
/** Where the answer is no: what the example shows is the question. */
const MAY_FAIL: Readonly<Record<string, number>> = {
  "policy test": 1,
  diff: 1,
  "ca retire": 4,
  "token revoke": 1,
};

const FILES: Readonly<Record<string, string>> = {
  "gateways.json": JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "iot:Publish", Resource: "arn:aws:iot:*:*:topic/plant/*" }],
  }),
  "pressure.json": JSON.stringify({
    sql: "SELECT pressure FROM 'telemetry/+/hydraulics' WHERE pressure > 4",
    actions: [{ alert: { severity: "critical", summary: "${thing}: ${pressure} bar" } }],
  }),
  "hot.sql": "SELECT * FROM 'telemetry/#' WHERE pressure > 1",
  "press-4.bin": "\u0001\u0002",
  "passphrase.txt": "a passphrase of some words\n",
  "password.txt": "correct horse battery\n",
  "hydraulics.yaml": "topic: telemetry/+/hydraulics\nonViolation: flag\nschema: { type: object }\n",
  "flush.yaml": "cron: 0 6 * * *\ntopic: commands/flush\n",
  "orders.yaml": "topic: orders/new\ntoken: a-token-that-is-long-enough-to-be-one\n",
};

const folder = temporaryFolder();
const data = join(folder.path, "tidewire-data");
let platform: PlatformProcess;

before(async () => {
  mkdirSync(data);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder.path, name), text);
  platform = await PlatformProcess.start(data);
  await addDevice(platform, folder.path, "meter-1");
  await platform.api("POST", "/thing-groups/cellar", {});
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

interface Answer {
  readonly code: number;
  readonly output: string;
}

function shell(line: string): Promise<Answer> {
  const script = `tidewire() { '${process.execPath}' '${join(ROOT, "src/main.ts")}' "$@"; }\n${line}`;
  return new Promise((resolve) => {
    execFile("sh", ["-c", script], { cwd: folder.path }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: `${stdout}${stderr}` }),
    ).stdin?.end();
  });
}

/** Ids that only this platform knows. */
async function withIds(line: string): Promise<string> {
  if (line.includes("0e5f…")) {
    const { principals } = await platform.api<{ principals: string[] }>("GET", "/things/meter-1/principals");
    return line.replace("0e5f…", principals[0]!.split("/").at(-1)!);
  }
  if (line.includes("k_7f3a")) {
    const { keys } = await platform.api<KeyList>("GET", "/api/keys?all=true");
    return line.replace("k_7f3a", keys[0]!.id);
  }
  if (line.includes("pressure_high.pump-7.1")) {
    const id = await until("the alert", async () => {
      const { alerts } = await platform.api<AlertPage>("GET", "/api/alerts?state=active&limit=1");
      return alerts[0]?.id;
    });
    return line.replace("pressure_high.pump-7.1", `'${id}'`);
  }
  if (line.includes("--end 3")) {
    const { silences } = await platform.api<{ silences: { id: string }[] }>("GET", "/api/alert-silences");
    return line.replace("--end 3", `--end ${silences[0]!.id}`);
  }
  return line.replaceAll("/mnt/usb", ".");
}

/** Tells of each that did not end as it should. */
async function failuresOf(path: string): Promise<string[]> {
  const failed: string[] = [];
  for (const example of EXAMPLES[path]!) {
    if (NOT_ALONE.some((pattern) => pattern.test(example))) continue;
    const [command = ""] = example.split(/ {2,}/);
    const { code, output } = await shell(await withIds(command));
    const asks = output.includes("CONFIRMATION_MISSING") && !command.includes("--yes");
    const allowed = asks ? 2 : (MAY_FAIL[path] ?? 0);
    if (code !== 0 && code !== allowed) failed.push(`${command}\n  ended with ${code}: ${output}`);
  }
  return failed;
}

test("each example of each verb does what it says, beside a platform that runs and one that does not", async () => {
  const apart = [...FIRST, ...LAST, ...STOPPED, ...Object.keys(NOT_HERE)];
  const between = Object.keys(EXAMPLES).filter((path) => !apart.includes(path));
  const failed: string[] = [];
  for (const path of [...FIRST, ...between, ...LAST]) {
    failed.push(...(await failuresOf(path)));
    // The rule sees its message only once it is there.
    if (path === "rules put") await platform.api("POST", "/topics/telemetry/pump-7/hydraulics?qos=1", { pressure: 7 });
  }
  await platform.stop();
  for (const path of STOPPED) failed.push(...(await failuresOf(path)));
  assert.deepEqual(failed, []);
});
