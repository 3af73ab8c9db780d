/** The `aws` command line, a second client that we did not write; left out where it is not installed. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { awsIsMissing } from "../scenarios/support/aws-program.ts";
import { awsWorld } from "./aws-world.ts";
import type { AwsWorld } from "./aws-world.ts";

let world: AwsWorld;
before(async () => {
  if (awsIsMissing === false) world = await awsWorld();
});
after(async () => {
  if (awsIsMissing === false) await world.close();
});

interface Said {
  readonly code: number;
  readonly text: string;
}

/** Version 2 takes a payload for base64 if it is not told; version 1 takes it as it is, and knows no such word. */
const RAW_PAYLOADS =
  awsIsMissing === false && execFileSync("aws", ["--version"], { encoding: "utf8" }).startsWith("aws-cli/2")
    ? ["--cli-binary-format", "raw-in-base64-out"]
    : [];

function run(...words: readonly string[]): Promise<Said> {
  const { accessKeyId, secretAccessKey } = world.credentials;
  const env = {
    PATH: process.env["PATH"],
    HOME: world.folder,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: "eu-central-1",
    AWS_PAGER: "",
    AWS_MAX_ATTEMPTS: "1",
  };
  const args = ["--endpoint-url", world.platform.ready.http, "--output", "json", ...RAW_PAYLOADS, ...words];
  return new Promise((resolve) => {
    execFile("aws", args, { env, cwd: world.folder }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), text: `${stdout}${stderr}` });
    });
  });
}

async function answer(...words: readonly string[]): Promise<Record<string, unknown>> {
  const { code, text } = await run(...words);
  assert.equal(code, 0, `${words.join(" ")}: ${text}`);
  return text.trim() === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

test("a device is made, given rights, and looked at", { skip: awsIsMissing }, async () => {
  await answer("iot", "create-thing-type", "--thing-type-name", "pump");
  const payload = JSON.stringify({ attributes: { site: "north" } });
  const thing = ["--thing-name", "pump-1"];
  await answer("iot", "create-thing", ...thing, "--thing-type-name", "pump", "--attribute-payload", payload);
  const described = await answer("iot", "describe-thing", ...thing);
  assert.deepEqual([described["attributes"], described["thingTypeName"]], [{ site: "north" }, "pump"]);
  const made = await answer("iot", "create-keys-and-certificate", "--set-as-active");
  const arn = String(made["certificateArn"]);
  const allow = { Effect: "Allow", Action: "iot:*", Resource: "*" };
  const document = JSON.stringify({ Version: "2012-10-17", Statement: [allow] });
  await answer("iot", "create-policy", "--policy-name", "all", "--policy-document", document);
  await answer("iot", "attach-policy", "--policy-name", "all", "--target", arn);
  await answer("iot", "attach-thing-principal", ...thing, "--principal", arn);
  assert.deepEqual((await answer("iot", "list-thing-principals", ...thing))["principals"], [arn]);
  const attached = await answer("iot", "list-attached-policies", "--target", arn);
  assert.match(JSON.stringify(attached), /"policyName":"all"/);
  const info = `actionType=PUBLISH,resources=arn:aws:iot:eu-central-1:1:topic/a`;
  const tested = await answer("iot", "test-authorization", "--principal", arn, "--auth-infos", info);
  assert.match(JSON.stringify(tested), /"authDecision":"ALLOWED"/);
  const things = await answer(
    "iot",
    "list-things",
    "--max-items",
    "1",
    "--attribute-name",
    "site",
    "--attribute-value",
    "north",
  );
  assert.equal((things["things"] as readonly unknown[]).length, 1);
});

test("messages and shadows", { skip: awsIsMissing }, async () => {
  const publish = ["iot-data", "publish", "--topic", "a/b c", "--qos", "1", "--retain"];
  const properties = ["--content-type", "text/plain", "--user-properties", '[{"k":"v"}]'];
  await answer(...publish, "--payload", "hello", ...properties);
  const kept = await answer("iot-data", "get-retained-message", "--topic", "a/b c");
  assert.equal(Buffer.from(String(kept["payload"]), "base64").toString(), "hello");
  const listed = await answer("iot-data", "list-retained-messages");
  assert.match(JSON.stringify(listed), /"topic":"a\/b c"/);
  const shadow = ["--thing-name", "pump-1", "--shadow-name", "cfg"];
  await answer("iot-data", "update-thing-shadow", ...shadow, "--payload", '{"state":{"desired":{"a":1}}}', "out.json");
  assert.match(readFileSync(join(world.folder, "out.json"), "utf8"), /"version":1/);
  await answer("iot-data", "get-thing-shadow", ...shadow, "again.json");
  assert.match(readFileSync(join(world.folder, "again.json"), "utf8"), /"desired":\{"a":1\}/);
});

test("rules, endpoints, and errors by AWS's names", { skip: awsIsMissing }, async () => {
  const payload = JSON.stringify({ sql: "SELECT * FROM 'a/#'", actions: [{ http: { url: "http://127.0.0.1:9/x" } }] });
  await answer("iot", "create-topic-rule", "--rule-name", "r", "--topic-rule-payload", payload);
  assert.match(JSON.stringify(await answer("iot", "get-topic-rule", "--rule-name", "r")), /http:\/\/127\.0\.0\.1:9\/x/);
  const { endpointAddress } = await answer("iot", "describe-endpoint", "--endpoint-type", "iot:Data-ATS");
  assert.match(String(endpointAddress), /^127\.0\.0\.1:\d+$/);
  const missing = await run("iot", "describe-thing", "--thing-name", "nope");
  assert.match(missing.text, /ResourceNotFoundException.*There is no thing named 'nope'/s);
  const later = await run("iot", "list-jobs");
  assert.match(later.text, /NotImplementedException.*ListJobs/s);
});

test("a wrong secret is refused", { skip: awsIsMissing }, async () => {
  const { accessKeyId } = world.credentials;
  const wrong = { ...world, credentials: { accessKeyId, secretAccessKey: "x".repeat(40) } };
  const right = world;
  world = wrong;
  const { code, text } = await run("iot", "list-things");
  world = right;
  assert.notEqual(code, 0);
  assert.match(text, /InvalidSignatureException/);
});
