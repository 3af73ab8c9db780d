/**
 * Connected devices lose their right to be there: from the administrator's request leaving to the device seeing its
 * connection closed. Everybody connected over mTLS, each with a certificate of its own.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pause, startPlatform, stop, tell, withFolder } from "../processes.ts";
import type { Platform } from "../processes.ts";
import { figure, quantile } from "../report.ts";
import type { Row } from "../report.ts";
import { DeviceClients } from "./clients.ts";
import { POLICY, enroll, inParallel } from "./enroll.ts";
import type { Device } from "./enroll.ts";

/** Of each kind of change, one after the other. */
const EACH = 20;

const NOBODY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "iot:Publish", Resource: "*" }],
});

interface Change {
  readonly claim: string;
  readonly act: (platform: Platform, device: Device) => Promise<unknown>;
}

const status = (newStatus: string) => (platform: Platform, device: Device) =>
  platform.api("PUT", `/certificates/${device.certificateId}?newStatus=${newStatus}`);

const CHANGES: readonly Change[] = [
  { claim: "revoked", act: status("REVOKED") },
  { claim: "deactivated", act: status("INACTIVE") },
  {
    claim: "its policy detached",
    act: (platform, device) => platform.api("POST", `/target-policies/${POLICY}`, { target: device.arn }),
  },
];

export async function revocation(count: number, many: number): Promise<Row[]> {
  return withFolder(async (folder) => {
    const platform = await startPlatform(join(folder, "data"));
    const { caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection");
    const began = performance.now();
    const devices = await enroll(platform, count);
    tell(`${count} devices with certificates after ${figure((performance.now() - began) / 1000)} s`);
    const paths = { devices: join(folder, "devices.json"), ca: join(folder, "ca.pem") };
    writeFileSync(paths.devices, JSON.stringify(devices));
    writeFileSync(paths.ca, caPem);
    const port = Number(platform.mqtts.slice(platform.mqtts.lastIndexOf(":") + 1));
    const groups = "X25519MLKEM768:X25519";
    const clients = new DeviceClients({ port, ...paths, groups, mode: "hold", count, atOnce: 64 }, false);
    const { ms } = await clients.ready();
    tell(`${count} connected after ${figure(ms / 1000)} s`);
    await pause(2000);
    const rows: Row[] = [];
    let next = 0;
    for (const change of CHANGES) {
      const indexes = Array.from({ length: EACH }, () => next++);
      const times: number[] = [];
      for (const index of indexes) times.push(...(await measure(platform, clients, devices, [index], change, 1)));
      rows.push(rowOf(`1 of ${count} connected devices ${change.claim}: closed`, times));
    }
    const indexes = Array.from({ length: many }, () => next++);
    const times = await measure(platform, clients, devices, indexes, CHANGES[0]!, 32);
    rows.push(rowOf(`${many} of them revoked by ${many} requests, 32 at once: each closed`, times));
    rows.push(await everybody(platform, clients, count, next));
    await clients.end();
    await stop(platform.child);
    return rows;
  });
}

/** Milliseconds from each request to its connection's end. */
async function measure(
  platform: Platform,
  clients: DeviceClients,
  devices: readonly Device[],
  indexes: readonly number[],
  { act }: Change,
  atOnce: number,
): Promise<number[]> {
  const askedAt = new Map<number, bigint>();
  await inParallel(indexes.length, atOnce, async (n) => {
    const index = indexes[n]!;
    askedAt.set(index, process.hrtime.bigint());
    await act(platform, devices[index]!);
  });
  await clients.closed(indexes);
  return indexes.map((index) => Number(clients.closedAt.get(index)! - askedAt.get(index)!) / 1e6);
}

/** All that are left, by one request: their policy's new version lets nobody connect. */
async function everybody(platform: Platform, clients: DeviceClients, count: number, from: number): Promise<Row> {
  const indexes = Array.from({ length: count - from }, (_, n) => from + n);
  const askedAt = process.hrtime.bigint();
  await platform.api("POST", `/policies/${POLICY}/version?setAsDefault=true`, { policyDocument: NOBODY });
  const answered = Number(process.hrtime.bigint() - askedAt) / 1e6;
  await clients.closed(indexes);
  const times = indexes.map((index) => Number(clients.closedAt.get(index)! - askedAt) / 1e6);
  tell(`answered after ${figure(answered)} ms`);
  return rowOf(`all ${indexes.length} left lose iot:Connect by one new default version: closed`, times, null);
}

function rowOf(claim: string, times: readonly number[], must: Row["must"] = { below: 1000 }): Row {
  const sorted = times.toSorted((a, b) => a - b);
  const [p50, p99, max] = [quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1)!];
  const peer = `p50 ${figure(p50)}, p99 ${figure(p99)}; ${times.length} devices, from the request to the device's end of the connection`;
  tell(`${claim}: ${peer}, max ${figure(max)} ms`);
  return { claim: `${claim}, slowest`, unit: "ms", must, runs: [max], peer };
}
