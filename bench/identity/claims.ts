/**
 * A fleet that provisions itself by claim: the real platform, a TLS connection per device with a shared claim certificate, a
 * certificate and a thing for each. The claims are several, as of a factory's lines: one may ask for 100 requests a second.
 */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { spawn } from "node:child_process";
import { CLIENT_CORE, SERVER_CORE, cpuSeconds, startPlatform, stop, tell, withFolder } from "../processes.ts";
import type { Platform } from "../processes.ts";
import { figure } from "../report.ts";
import type { Row } from "../report.ts";
import type { ClaimRequest, ClaimResult, Identities } from "./claim-clients.ts";

const FLEET = 10_000;
const MINUTES_MAX = 5;
const CLAIMS = 4;
const AT_ONCE = 64;
const TEMPLATE = "fleet";

const BODY = JSON.stringify({
  Parameters: { SerialNumber: { Type: "String" } },
  Resources: {
    thing: {
      Type: "AWS::IoT::Thing",
      Properties: {
        ThingName: { "Fn::Join": ["-", ["pump", { Ref: "SerialNumber" }]] },
        AttributePayload: { serial: { Ref: "SerialNumber" }, site: "bay-1" },
        ThingGroups: ["pumps"],
      },
    },
    certificate: { Type: "AWS::IoT::Certificate", Properties: { CertificateId: { Ref: "AWS::IoT::Certificate::Id" } } },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
  },
});

/** One row per form of request; `devices` other than ten thousand are counted up to them. */
export async function claims(devices: number, serverOptions: readonly string[] = []): Promise<Row[]> {
  const rows: Row[] = [];
  for (const form of ["csr", "keys"] as const) rows.push(await run(form, devices, serverOptions));
  return rows;
}

async function run(form: ClaimRequest["form"], devices: number, nodeOptions: readonly string[]): Promise<Row> {
  return withFolder(async (folder) => {
    const env = { ...process.env, NODE_OPTIONS: nodeOptions.join(" ") };
    const platform = await startPlatform(join(folder, "data"), { core: SERVER_CORE, env });
    const identities = join(folder, "identities.json");
    writeFileSync(identities, JSON.stringify(await prepare(platform)), { mode: 0o600 });
    const port = Number(platform.mqtts.split(":").at(-1));
    const asked: ClaimRequest = {
      port,
      identities,
      template: TEMPLATE,
      form,
      count: devices,
      from: 0,
      atOnce: AT_ONCE,
    };
    const clients = spawn(
      "taskset",
      ["-c", CLIENT_CORE, process.execPath, join(import.meta.dirname, "claim-clients.ts")],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    const lines = createInterface(clients.stdout);
    clients.stdin.write(`${JSON.stringify(asked)}\n`);
    await nextLine(lines, clients);
    const before = cpuSeconds(platform.pid);
    clients.stdin.write("\n");
    const result = JSON.parse(await nextLine(lines, clients)) as ClaimResult;
    const cpu = cpuSeconds(platform.pid) - before;
    const { things } = await platform.api<{ things: readonly object[] }>("GET", "/things?maxResults=1");
    if (things.length === 0) throw new Error("no thing was made");
    await stop(platform.child);
    const { ms, p50, p99, throttled, connected } = result;
    const each = `${figure((cpu / devices) * 1000)} ms of the platform's processor each, ${figure((result.cpu / devices) * 1000)} ms of the clients'`;
    tell(
      `${form}: ${devices} devices in ${figure(ms / 1000)} s; ${each}; p50 ${figure(p50)} ms, p99 ${figure(p99)} ms; ${throttled} told to come back; ${connected} of a sample connected as themselves`,
    );
    return {
      claim: `${FLEET.toLocaleString("en-GB")} devices provisioned by claim, ${form === "csr" ? "each with a key of its own" : "keys made by the platform"}`,
      unit: "minutes",
      must: { below: MINUTES_MAX },
      runs: [(ms / 60_000) * (FLEET / devices)],
      peer: each,
    };
  });
}

async function nextLine(lines: ReturnType<typeof createInterface>, child: ReturnType<typeof spawn>): Promise<string> {
  const ended = once(child, "close").then(([code]) =>
    Promise.reject(new Error(`the clients ended with ${String(code)}`)),
  );
  ended.catch(() => {}); // it may end later
  const [line] = (await Promise.race([once(lines, "line"), ended])) as [string];
  return line;
}

async function prepare(platform: Platform): Promise<Identities> {
  await platform.api("POST", "/thing-groups/pumps", {});
  await platform.api("POST", "/provisioning-templates", {
    templateName: TEMPLATE,
    templateBody: BODY,
    provisioningRoleArn: "arn:aws:iam::000000000000:role/any",
    enabled: true,
  });
  await platform.api("PUT", `/api/provisioning-templates/${TEMPLATE}/claim-policy`);
  const claims: { cert: string; key: string }[] = [];
  for (let n = 0; n < CLAIMS; n++) {
    // Not CreateProvisioningClaim's, which live for five minutes: certificates of a batch, as AWS has them.
    type Made = { certificateArn: string; certificatePem: string; keyPair: { PrivateKey: string } };
    const made = await platform.api<Made>("POST", "/keys-and-certificate?setAsActive=true");
    await platform.api("PUT", `/target-policies/tidewire-claim-${TEMPLATE}`, { target: made.certificateArn });
    claims.push({ cert: made.certificatePem, key: made.keyPair.PrivateKey });
  }
  const { caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection");
  return { ca: caPem, claims };
}
