/** `tidewire pub` and `tidewire sub` with a real platform, and with Mosquitto's own commands at the other end. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { main } from "../../src/cli/mod.ts";
import { addDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, ROOT, runCli, temporaryFolder, until } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

const MAIN = join(ROOT, "src/main.ts");
const OPEN = ["--listen", "mqtt://127.0.0.1:0?auth=none", "--listen", "ws://127.0.0.1:0?auth=none"];
const hasMosquitto = spawnSync("sh", ["-c", "command -v mosquitto_pub"]).status === 0;
const skip = hasMosquitto ? false : "mosquitto_pub is not on this machine (Debian: mosquitto-clients)";

const folder = temporaryFolder();
const data = join(folder.path, "data");
const left = new Set<ChildProcess>();
let platform: PlatformProcess;
let device: Device;

before(async () => {
  process.setMaxListeners(100); // each command waits for signals
  mkdirSync(data);
  platform = await PlatformProcess.start(data, OPEN);
  device = await addDevice(platform, folder.path, "pump-7");
});

after(async () => {
  for (const child of left) child.kill("SIGKILL");
  await platform?.stop();
  folder.remove();
});

function placed(args: readonly string[]): readonly string[] {
  return args.includes("--url") || args.includes("--device") ? args : [...args, "--data", data];
}

/** The command in this process, which saves the start of one: for what ends by itself and does not print messages. */
async function cli(...args: readonly string[]): Promise<Exit> {
  let stdout = "";
  let stderr = "";
  const code = await main(placed(args), {
    result: (text) => void (stdout += `${text}\n`),
    note: (text) => void (stderr += `${text}\n`),
  });
  process.exitCode = undefined;
  return { code, stdout, stderr };
}

async function ok(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = args[0] === "sub" ? await runCli(placed(args), folder.path) : await cli(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

function refused({ code, stderr }: Exit, status: number, error: string, says = /./): void {
  assert.equal(code, status, stderr);
  assert.match(stderr, new RegExp(`\\n {2}${error}\\n$`));
  assert.match(stderr, says);
}

interface Listening {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** So far, beside its results. */
  said(): string;
  /** Exit status; what it said beside its results. */
  end(): Promise<{ readonly code: number | null; readonly said: string }>;
}

/** A program that listens, once it does. */
async function listening(command: string, args: readonly string[], ready: RegExp): Promise<Listening> {
  const child = spawn(command, args, { cwd: folder.path, stdio: ["ignore", "pipe", "pipe"] });
  left.add(child);
  const lines: string[] = [];
  let said = "";
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  const exited = once(child, "close");
  const isReady = new Promise<void>((resolve) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (ready.test(said)) resolve();
    });
    createInterface(child.stdout).on("line", (line) => ready.test(line) && resolve());
  });
  await Promise.race([isReady, exited.then(() => Promise.reject(new Error(`it ended: ${said}`)))]);
  return {
    child,
    lines,
    said: () => said,
    end: async () => {
      await exited;
      left.delete(child);
      return { code: child.exitCode, said };
    },
  };
}

function sub(...args: readonly string[]): Promise<Listening> {
  const at = args.includes("--url") ? [] : ["--data", data];
  return listening(process.execPath, [MAIN, "sub", ...args, ...at], /Subscribed to /);
}

/** Mosquitto's commands speak to the listener that takes everybody. */
function mosquittoAt(): readonly string[] {
  const { hostname, port } = new URL(platform.ready.listen[0]!.replace("mqtt:", "http:"));
  return ["-h", hostname, "-p", port, "-V", "mqttv5"];
}

test(
  "pub with no options but the folder is heard by mosquitto_sub, with QoS, retain and every property",
  { skip },
  async () => {
    const heard = await listening(
      "stdbuf",
      [
        "-oL",
        "mosquitto_sub",
        ...mosquittoAt(),
        "-d",
        "-q",
        "2",
        "-t",
        "line/#",
        "-C",
        "2",
        "-F",
        "%t|%p|%q|%r|%C|%R|%D|%P|%F",
      ],
      /SUBACK/,
    );
    const properties = ["--content-type", "application/json", "--response-topic", "answers/me", "--correlation", "17"];
    await ok("pub", "line/1", '{"t": 21}', "--qos", "2", ...properties, "--user-property", "a=b", "c=d=e", "--text");
    await ok("pub", "line/2", "on", "--retain", "--expiry", "1m");
    await heard.end();
    const messages = heard.lines.filter((line) => line.startsWith("line/"));
    assert.deepEqual(
      messages.map((line) => line.replace(/\s+\|/g, "|")),
      ['line/1|{"t": 21}|2|0|application/json|answers/me|17|a:b c:d=e|1', "line/2|on|1|0|||||"],
    );
    const [retained] = JSON.parse(`[${await ok("sub", "line/+", "--retained-only", "--json")}]`) as [
      Record<string, unknown>,
    ];
    assert.deepEqual([retained["topic"], retained["payload"], retained["retain"]], ["line/2", "on", true]);
    const { messageExpirySeconds } = retained["properties"] as { messageExpirySeconds: number };
    assert.ok(messageExpirySeconds > 0 && messageExpirySeconds <= 60);
    await ok("pub", "line/2", "", "--retain");
    assert.equal(await ok("sub", "line/+", "--retained-only"), "", "an empty payload forgets it");
  },
);

test(
  "mosquitto_pub is heard by sub: by MQTT 5 and 3.1.1, over WebSocket and the platform's own way; --count ends it",
  { skip },
  async () => {
    const webSocket = `${platform.ready.listen[1]!}/mqtt`;
    const subscribers = await Promise.all([
      sub("plant/#", "--count", "2"),
      sub(
        "plant/#",
        "--count",
        "2",
        "--format",
        String.raw`%t\t%p\t%q`,
        "--url",
        platform.ready.listen[0]!,
        "--protocol",
        "3.1.1",
      ),
      sub("plant/a", "plant/b", "--count", "2", "--raw", "--url", webSocket, "--qos", "0"),
    ]);
    for (const [topic, qos] of [
      ["plant/a", "1"],
      ["plant/b", "2"],
    ] as const) {
      const published = spawnSync("mosquitto_pub", [
        ...mosquittoAt(),
        "-q",
        qos,
        "-t",
        topic,
        "-m",
        "ä1",
        "-D",
        "publish",
        "user-property",
        "n",
        "v",
      ]);
      assert.equal(published.status, 0, published.stderr.toString());
    }
    const ends = await Promise.all(subscribers.map((one) => one.end()));
    assert.deepEqual(
      ends.map(({ code }) => code),
      [0, 0, 0],
    );
    const [first, second] = subscribers[0].lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      { ...first, time: "" },
      {
        time: "",
        topic: "plant/a",
        payload: "ä1",
        encoding: "utf8",
        qos: 1,
        retain: false,
        properties: { userProperties: [["n", "v"]] },
      },
    );
    assert.equal(second!["qos"], 1, "no more than was subscribed");
    assert.deepEqual(subscribers[1].lines, ["plant/a\tä1\t1", "plant/b\tä1\t1"]);
    assert.deepEqual(subscribers[2].lines, ["ä1ä1"]);
  },
);

test("as a device, with its folder alone: what its policy allows, and nothing else", async () => {
  await ok("pub", "telemetry/pump-7/hydraulics", '{"pressure": 4.2}', "--device", device.folder);
  const elsewhere = ["pub", "telemetry/pump-8/hydraulics", "{}", "--device", device.folder];
  refused(await cli(...elsewhere), 4, "PUBLISH_NOT_ALLOWED", /telemetry\/pump-8.*0x87/);
  refused(await cli(...elsewhere, "--qos", "0"), 4, "PUBLISH_NOT_ALLOWED");
  refused(await cli(...elsewhere, "--protocol", "3.1.1"), 4, "PUBLISH_NOT_ALLOWED");
  refused(await cli(...elsewhere, "--protocol", "3.1.1", "--qos", "0"), 5, "BROKER_ENDED", /tidewire refused/);
  refused(await cli("sub", "telemetry/#", "--device", device.folder), 4, "SUBSCRIBE_NOT_ALLOWED", /0x87/);
  refused(await cli("sub", "x", "--device", device.folder, "--client-id", "pump-8"), 4, "BROKER_LOGIN_REFUSED");
  const tls = ["--url", platform.ready.mqtts, "--ca", join(device.folder, "ca.pem")];
  const own = ["--cert", join(device.folder, "certificate.pem"), "--key", join(device.folder, "private-key.pem")];
  await ok("pub", "telemetry/pump-7/x", "1", ...tls, ...own, "--client-id", "pump-7");
  refused(await cli("pub", "x", "1", ...tls), 4, "BROKER_LOGIN_REFUSED", /client's certificate/);
  refused(await cli("pub", "x", "1", "--url", platform.ready.mqtts), 5, "BROKER_UNREACHABLE", /--ca/);
});

test("what cannot be is told before or by the broker, each with its status; what came is not lost by it", async () => {
  refused(await cli("pub", "a/#", "1"), 2, "PUBLISH_INVALID", /0x90/);
  refused(await cli("sub", "a/#/b"), 2, "SUBSCRIBE_REFUSED", /0x8f/);
  refused(await cli("pub", "$SYS/x", "1"), 4, "PUBLISH_NOT_ALLOWED");
  refused(await cli("pub", "a", "1", "--token", "nonsense"), 4, "BROKER_LOGIN_REFUSED", /token is not known/);
  refused(await cli("pub", "a", "1", "--client-id", "pump-7"), 4, "BROKER_LOGIN_REFUSED", /tidewire-/);
  refused(await cli("pub", "a", "1", "--url", "mqtt://127.0.0.1:1"), 5, "BROKER_UNREACHABLE", /nobody listens/);
  refused(await cli("pub", "a", "1", "--url", platform.ready.http.replace("http", "ws")), 4, "BROKER_LOGIN_REFUSED");
  refused(
    await cli("pub", "a", "1", "--protocol", "3.1.1", "--content-type", "x"),
    2,
    "CONFIG_VALUE_INVALID",
    /3\.1\.1/,
  );
  refused(await cli("pub", "a", "1", "--file", "x"), 2, "CONFIG_VALUE_INVALID", /--file/);
  refused(await cli("sub", "a", "--format", "%z"), 2, "CONFIG_VALUE_INVALID", /%z is none of/);
  refused(await cli("sub", "silent", "--count", "1", "--timeout", "1s"), 8, "MESSAGES_MISSING", /0 of 1/);
  const large = join(folder.path, "large");
  writeFileSync(large, Buffer.alloc(3 << 20));
  refused(await cli("pub", "a", "--file", large), 2, "PUBLISH_INVALID", /0x95/);
});

test("rights of keys are rights by MQTT: a viewer's key reads, a narrowed one does not; a key that ends cuts who came with it", async () => {
  const keyOf = (...args: readonly string[]): Promise<string> => ok("keys", "add", ...args).then((text) => text.trim());
  const reads = await keyOf("reads", "--scope", "telemetry:read");
  const narrow = await keyOf("narrow", "--scope", "telemetry:read", "--things", "pump-*");
  refused(await cli("pub", "a", "1", "--token", reads), 4, "PUBLISH_NOT_ALLOWED");
  refused(await cli("sub", "a", "--token", narrow), 4, "BROKER_LOGIN_REFUSED", /some things only/);
  const writes = await keyOf("writes", "--scope", "telemetry:write");
  await ok("pub", "keys/written", "1", "--token", writes);
  for (const topic of ["$aws/certificates/create/json", "$aws/provisioning-templates/any/provision/json"])
    refused(await cli("pub", topic, "{}", "--token", writes), 4, "PUBLISH_NOT_ALLOWED"); // a certificate takes certificates:write
  const subscriber = await sub("keys/#", "--token", reads);
  await ok("pub", "keys/1", "heard");
  await until("the message", async () => subscriber.lines.length === 1);
  const { keys } = await platform.api<{ keys: { id: string; name: string }[] }>("GET", "/api/keys");
  await ok("keys", "revoke", keys.find(({ name }) => name === "reads")!.id, "--yes");
  const { code, said } = await subscriber.end();
  assert.deepEqual([code, /not authorized/.test(said)], [5, true], said);
  const administrator = await sub("keys/#");
  await ok("token", "rotate", "--yes");
  assert.equal((await administrator.end()).code, 5, "whoever came with the token before is cut, too");
  await ok("pub", "keys/2", "with the new one");
});

test("TIDEWIRE_TOKEN is for the platform: to an address of any broker it goes only where --token says so", async () => {
  const broker = `${platform.ready.http.replace(/^http/, "ws")}/mqtt`;
  const key = (await ok("keys", "add", "writer", "--scope", "telemetry:write")).trim();
  const before = process.env["TIDEWIRE_TOKEN"];
  process.env["TIDEWIRE_TOKEN"] = key;
  try {
    refused(await cli("pub", "a", "1", "--url", broker), 4, "BROKER_LOGIN_REFUSED");
  } finally {
    if (before === undefined) delete process.env["TIDEWIRE_TOKEN"];
    else process.env["TIDEWIRE_TOKEN"] = before;
  }
  await ok("pub", "a", "1", "--url", broker, "--token", key);
});

test("lines: payloads of a topic, or messages as sub prints them, binary ones too; a wrong line is told and left out", async () => {
  const copied = await sub("copy/#", "--count", "3", "--format", "%t %x %C");
  const json = [
    JSON.stringify({ topic: "copy/1", payload: { t: 1 } }),
    "nonsense",
    JSON.stringify({ topic: "copy/2", payload: "AP8=", encoding: "base64", properties: { contentType: "x/y" } }),
  ];
  const child = spawn(process.execPath, [MAIN, "pub", "--data", data, "--json"], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(`${json.join("\n")}\n`);
  const [[code], [out], [said]] = await Promise.all([
    once(child, "close"),
    once(child.stdout, "data"),
    once(child.stderr, "data"),
  ]);
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(String(out)), { acknowledged: 2, faults: 1 });
  assert.match(String(said), /Line 2 is left out: it is not JSON/);
  writeFileSync(join(folder.path, "bytes"), Uint8Array.of(0, 255, 10));
  await ok("pub", "copy/3", "--file", join(folder.path, "bytes"));
  assert.equal((await copied.end()).code, 0);
  assert.deepEqual(copied.lines, ["copy/1 7b2274223a317d ", "copy/2 00ff x/y", "copy/3 00ff0a "]);
});

test("a reader that does not read: sub asks for no more, and takes no more memory", async () => {
  const child = spawn(process.execPath, [MAIN, "sub", "flood/#", "--data", data, "--raw"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  left.add(child);
  await once(child.stderr, "data"); // it has subscribed
  const residentMiB = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid!}/status`, "utf8"))![1]) / 1024;
  const before_ = residentMiB();
  const publisher = publish("flood/x");
  const line = `${"x".repeat(16_000)}\n`;
  for (let i = 0; i < 3000; i++) if (!publisher.stdin.write(line)) await once(publisher.stdin, "drain");
  publisher.stdin.end();
  assert.deepEqual(await once(publisher, "close"), [0, null]);
  assert.ok(residentMiB() - before_ < 30, `48 MB came, and it took ${residentMiB() - before_} MiB`);
  // It goes on where it stopped.
  let bytes = 0;
  child.stdout.on("data", (chunk: Buffer) => (bytes += chunk.length));
  await until("some megabytes", async () => bytes > 1_000_000);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "close"), [0, null]);
  left.delete(child);
});

test("the platform is killed: sub comes back and goes on, pub sends again what was not acknowledged; Ctrl-C ends what has no end", async () => {
  const endless = await sub("again/#", "--format", "%p");
  const publisher = publish("again/x");
  let said = "";
  publisher.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  for (let i = 0; i < 100; i++) publisher.stdin.write(`${i}\n`);
  await until("some", async () => endless.lines.length >= 50);
  const ports = platform.samePorts();
  await platform.kill();
  for (let i = 100; i < 300; i++) publisher.stdin.write(`${i}\n`);
  publisher.stdin.end();
  platform = await PlatformProcess.start(data, [...ports, ...OPEN]);
  assert.deepEqual(await once(publisher, "close"), [0, null], said);
  assert.match(said, /is lost: .*Trying again\.\nConnected again\.\n$/);
  const logged = ["log", "tail", "-n", "5000", "--topic", "again/#", "--json", "--data", data];
  const stored = (await runCli(logged, folder.path)).stdout.trimEnd().split("\n");
  const payloads = new Set(stored.map((line) => Number((JSON.parse(line) as { payload: string }).payload)));
  assert.deepEqual(
    [...payloads].sort((a, b) => a - b),
    Array.from({ length: 300 }, (_, i) => i),
  );
  await until("it is back", async () => endless.said().endsWith("Connected again.\n"));
  await ok("pub", "again/x", "once more");
  await until("the message", async () => endless.lines.at(-1) === "once more");
  endless.child.kill("SIGINT");
  assert.equal((await endless.end()).code, 0);
});

function publish(topic: string): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [MAIN, "pub", topic, "--lines", "--data", data]);
}
