import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { PostgresServer, postgresMissing } from "../../src/adapters/postgres/server.fixture.ts";
import { addDevice, connectDevice, openDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

interface SeriesAnswer {
  readonly series: readonly { readonly field: string; readonly values: readonly number[] }[];
}

interface HealthAnswer {
  readonly state: string;
  readonly parts: readonly { readonly name: string; readonly state: string }[];
}

const missing = postgresMissing();

describe("platforms whose telemetry and registry are in PostgreSQL", { skip: missing ?? false }, () => {
  const folder = temporaryFolder();
  const second = temporaryFolder();
  let server: PostgresServer;
  let options: readonly string[];
  let platform: PlatformProcess;
  let device: Device;
  let sequence = 0;

  before(async () => {
    server = await PostgresServer.start({ durable: true });
    const passwordfile = join(folder.path, "password");
    writeFileSync(passwordfile, server.password, { mode: 0o600 });
    const url = server.tcpUrl({ passwordfile });
    options = ["--telemetry", url, "--registry", url];
    // Things that were there before the registry moved come along.
    const before = await PlatformProcess.start(folder.path);
    device = await addDevice(before, folder.path, "press-1");
    await before.stop();
    platform = await PlatformProcess.start(folder.path, options);
  });

  after(async () => {
    await platform?.stop();
    await server?.remove();
    folder.remove();
    second.remove();
  });

  const stored = async (): Promise<readonly number[]> => {
    const answer = await platform.api<SeriesAnswer>("GET", "/api/series?thing=press-1&fields=n&from=0");
    return answer.series[0]?.values ?? [];
  };
  const stateOf = async (name: string): Promise<string | undefined> => {
    const { parts } = await platform.api<HealthAnswer>("GET", "/api/health");
    return parts.find((part) => part.name === name)?.state;
  };

  test("the server is killed in full traffic and comes back: nothing is lost, nothing is stored twice", async () => {
    const client = await connectDevice(platform, device);
    const publish = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await client.publishAsync("telemetry/press-1/line", JSON.stringify({ n: ++sequence }), { qos: 1 });
      }
    };
    for (let round = 0; round < 3; round++) {
      await publish(200);
      await server.kill();
      await publish(200); // acknowledged: they are safe in the log
      await until(
        "health tells",
        async () => (await stateOf("store")) === "degraded" && (await stateOf("registry")) === "degraded",
      );
      await server.up();
      await publish(50);
    }
    await until("all is stored", async () => (await stored()).length >= sequence);
    assert.deepEqual(
      await stored(),
      Array.from({ length: sequence }, (_, i) => i + 1),
    );
    await until(
      "health is well",
      async () => (await stateOf("store")) === "ok" && (await stateOf("registry")) === undefined,
    );
    await client.endAsync();
  });

  test("the platform is killed and comes back to what the server has", async () => {
    await platform.kill();
    platform = await PlatformProcess.start(folder.path, options);
    const client = await connectDevice(platform, device);
    await client.publishAsync("telemetry/press-1/line", JSON.stringify({ n: ++sequence }), { qos: 1 });
    await until("it is stored", async () => (await stored()).length >= sequence);
    assert.deepEqual(
      await stored(),
      Array.from({ length: sequence }, (_, i) => i + 1),
    );
    await client.endAsync();
  });

  test("events are asked for by SQL as ever, a second after they were acknowledged; points are not", async () => {
    const asked = (sql: string): Promise<{ rows: [[number]] }> => platform.api("POST", "/api/query", { sql });
    const { rows } = await asked("SELECT count(*) AS n FROM events WHERE thing = 'press-1'");
    assert.equal(rows[0][0], sequence);
    await assert.rejects(asked("SELECT * FROM telemetry"), /in PostgreSQL/);
  });

  test("a device is forgotten, and what it says later is kept", async () => {
    const { id } = await platform.api<{ id: number }>("DELETE", "/api/things/press-1/data");
    const report = await until("it is forgotten", async () => {
      const now = await platform.api<{ state: string; removed: { points: number; events: number } }>(
        "GET",
        `/api/forgotten/${id}`,
      );
      return now.state === "done" ? now : null;
    });
    assert.equal(report.removed.points, sequence);
    assert.ok(report.removed.events > sequence, "with what was told of its connections");
    assert.deepEqual(await stored(), []);
    sequence = 0;
    const client = await connectDevice(platform, device);
    await client.publishAsync("telemetry/press-1/line", JSON.stringify({ n: ++sequence }), { qos: 1 });
    await client.endAsync();
    await until("it is stored", async () => (await stored()).length === 1);
    assert.deepEqual(await stored(), [1]);
  });

  test("while the server is away nobody new gets in, and who is in stays; then all is as before", async () => {
    const client = await connectDevice(platform, device);
    let dropped = false;
    client.on("close", () => (dropped = true));
    await server.kill();
    await until("it is noticed", async () => (await stateOf("registry")) === "degraded");
    await assert.rejects(
      connectDevice(platform, device, { clientId: "press-1", protocolVersion: 5, reconnectPeriod: 0 }),
    );
    await client.publishAsync("telemetry/press-1/line", JSON.stringify({ n: ++sequence }), { qos: 1 });
    assert.equal(dropped, false);
    await server.up();
    await until("it is back", async () => (await stateOf("registry")) === undefined);
    await client.endAsync();
    await (await connectDevice(platform, device)).endAsync();
  });

  test("a certificate that a second platform revokes loses its connection to the first", async () => {
    const registryOnly = options.slice(2);
    const other = await PlatformProcess.start(second.path, registryOnly);
    const client = await connectDevice(platform, device, { reconnectPeriod: 0 });
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    await other.api("PUT", `/certificates/${device.certificateId}?newStatus=REVOKED`);
    await closed;
    const again = openDevice(platform, device, { reconnectPeriod: 0 });
    let admitted = false;
    again.on("connect", () => (admitted = true)).on("error", () => {});
    await new Promise<void>((resolve) => again.once("close", () => resolve()));
    assert.equal(admitted, false);
    // Users and codes are everybody's, too: made at the one, ended at the other.
    await platform.api("POST", "/api/users", { name: "anna", role: "viewer" });
    await platform.api("POST", "/api/join-codes", { thing: "press-9" });
    const users = async (of: PlatformProcess): Promise<readonly { readonly name: string }[]> =>
      (await of.api<{ users: { name: string }[] }>("GET", "/api/users")).users;
    await until("the other knows her", async () => (await users(other))[0]?.name === "anna");
    const { codes } = await other.api<{ codes: unknown[] }>("GET", "/api/join-codes");
    assert.equal(codes.length, 1);
    await other.api("DELETE", "/api/users/anna");
    await until("it is the same here", async () => (await users(platform)).length === 0);
    await other.stop();
  });

  test("a password is nowhere to be read, and none is taken from the command line", async () => {
    const log = readFileSync(join(folder.path, "platform.log"), "utf8");
    assert.equal(log.includes(server.password), false);
    assert.equal(readFileSync(`/proc/${platform.ready.pid}/cmdline`, "utf8").includes(server.password), false);
    const { code, stderr } = await runCli(
      ["up", "--data", second.path, "--telemetry", "postgres://u:secret@h/d"],
      second.path,
    );
    assert.equal(code, 2);
    assert.match(stderr, /--telemetry.*password.*passwordfile/s);
    assert.equal(stderr.includes("secret"), false);
  });
});
