/**
 * Every feature of MQTT 3.1.1 and 5.0 that the platform offers, used by clients that we did not write: MQTT.js and
 * Mosquitto's `mosquitto_pub` and `mosquitto_sub`. One platform serves all of it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import type { QoS } from "mqtt-packet";
import { addDevice } from "./support/device.ts";
import { Clients } from "./support/independent-clients.ts";
import { PlatformProcess, ROOT, temporaryFolder, until } from "./support/platform-process.ts";
import { ScramClient } from "./support/scram-client.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let clients: Clients;

const ARN = "arn:aws:iot:local:000000000000";
const allow = (...statements: readonly object[]): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: statements.map((s) => Object.assign({ Effect: "Allow" }, s)) });
const EVERYTHING = allow(
  { Action: "iot:Connect", Resource: `${ARN}:client/*` },
  {
    Action: ["iot:Publish", "iot:RetainPublish", "iot:Receive"],
    Resource: [`${ARN}:topic/it/*`, `${ARN}:topic/$SYS/*`],
  },
  {
    Action: "iot:Subscribe",
    Resource: [`${ARN}:topicfilter/it/*`, `${ARN}:topicfilter/$share/*`, `${ARN}:topicfilter/$SYS/*`],
  },
);
const USER = { name: "ada", password: "pencil" };

before(async () => {
  const verifier = spawnSync(process.execPath, [join(ROOT, "src/main.ts"), "verifier"], {
    input: `${USER.password}\n`,
  });
  const config = join(folder.path, "up.json");
  const users = [{ name: USER.name, verifier: verifier.stdout.toString().trim(), policies: ["everything"] }];
  writeFileSync(config, JSON.stringify({ users, sysSeconds: 1 })); // JSON is YAML, too
  platform = await PlatformProcess.start(folder.path, ["--config", config]);
  const device = await addDevice(platform, folder.path, "peer");
  await platform.api("POST", "/policies/everything", { policyDocument: EVERYTHING });
  await platform.api("PUT", "/target-policies/everything", { target: `${ARN}:cert/${device.certificateId}` });
  clients = new Clients(platform, device);
});

afterEach(() => clients.close());

after(async () => {
  await platform?.stop();
  folder.remove();
});

const kept = (seconds = 3_600): { clean: false; properties: { sessionExpiryInterval: number } } => ({
  clean: false,
  properties: { sessionExpiryInterval: seconds },
});
const LEVELS: readonly QoS[] = [0, 1, 2];

for (const protocolVersion of [4, 5] as const) {
  const name = protocolVersion === 4 ? "MQTT 3.1.1" : "MQTT 5.0";
  const spoken = protocolVersion === 4 ? "mqttv311" : "mqttv5";

  for (const qos of LEVELS) {
    test(`${name}, QoS ${qos}: MQTT.js to MQTT.js, to mosquitto_sub, and from mosquitto_pub`, async () => {
      const topic = clients.topic();
      const receiver = await clients.connect({ protocolVersion });
      await receiver.client.subscribeAsync(topic, { qos });
      const lines = await clients.subscribe("-V", spoken, "-t", topic, "-q", `${qos}`, "-F", "> %q %p");
      const sender = await clients.connect({ protocolVersion });
      await sender.client.publishAsync(topic, "from MQTT.js", { qos });
      await clients.publish("-V", spoken, "-t", topic, "-q", `${qos}`, "-m", "from mosquitto_pub");
      await receiver.got(2);
      assert.deepEqual(
        receiver.publishes.map((packet) => [packet.qos, packet.payload.toString()]),
        [
          [qos, "from MQTT.js"],
          [qos, "from mosquitto_pub"],
        ],
      );
      assert.deepEqual(await lines(2), [`${qos} from MQTT.js`, `${qos} from mosquitto_pub`]);
    });
  }

  test(`${name}: a session that is kept is resumed, with what came meanwhile at QoS 1 and 2, in order`, async () => {
    const topic = clients.topic();
    const clientId = `kept-${protocolVersion}`;
    const session = { protocolVersion, clientId, clean: false, ...(protocolVersion === 5 ? kept() : {}) };
    const first = await clients.connect(session);
    assert.equal(first.connack?.sessionPresent, false);
    await first.client.subscribeAsync(topic, { qos: 2 });
    await first.leave();
    const sender = await clients.connect({ protocolVersion });
    for (const qos of LEVELS) await sender.client.publishAsync(topic, `${qos}`, { qos });
    const back = await clients.connect(session);
    assert.equal(back.connack?.sessionPresent, true);
    await back.got(2);
    assert.deepEqual(back.texts, ["1", "2"]);
    await back.leave();
    const clean = await clients.connect({ protocolVersion, clientId, clean: true });
    assert.equal(clean.connack?.sessionPresent, false);
  });

  test(`${name}: retained messages greet a new subscriber, and are removed by an empty one`, async () => {
    const topic = clients.topic();
    const sender = await clients.connect({ protocolVersion });
    await sender.client.publishAsync(`${topic}/a`, "old", { qos: 1, retain: true });
    await clients.publish("-V", spoken, "-t", `${topic}/a`, "-q", "1", "-r", "-m", "new");
    await sender.client.publishAsync(`${topic}/b`, "gone", { qos: 1, retain: true });
    await sender.client.publishAsync(`${topic}/b`, "", { qos: 1, retain: true });
    const late = await clients.connect({ protocolVersion });
    await late.client.subscribeAsync(`${topic}/+`, { qos: 1 });
    await sender.client.publishAsync(`${topic}/c`, "live", { qos: 1, retain: true });
    await late.got(2);
    assert.deepEqual(
      late.publishes.map((packet) => [packet.payload.toString(), packet.retain]),
      [
        ["new", true],
        ["live", false],
      ],
    );
    const lines = await clients.subscribe("-V", spoken, "-t", `${topic}/a`, "-F", "> %r %p");
    assert.deepEqual(await lines(1), ["1 new"]);
  });

  test(`${name}: who comes with the same client identifier takes over`, async () => {
    const clientId = `twin-${protocolVersion}`;
    const first = await clients.connect({ protocolVersion, clientId });
    const closed = new Promise((resolve) => first.client.once("close", () => resolve(true)));
    await clients.connect({ protocolVersion, clientId });
    await closed;
    if (protocolVersion === 5) assert.equal((await first.sentOff()).reasonCode, 0x8e);
  });

  test(`${name}: the will of a client that vanishes is published, that of one that says good-bye is not`, async () => {
    const topic = clients.topic();
    const watcher = await clients.connect({ protocolVersion });
    await watcher.client.subscribeAsync(topic, { qos: 2 });
    const will = { topic, qos: 2, retain: false } as const;
    const polite = await clients.connect({ protocolVersion, will: { ...will, payload: Buffer.from("polite") } });
    await polite.leave();
    const gone = await clients.connect({ protocolVersion, will: { ...will, payload: Buffer.from("gone") } });
    gone.vanish();
    await watcher.got(1);
    assert.deepEqual(watcher.texts, ["gone"]);
  });
}

test("session expiry: a session that is over is not there any more", async () => {
  const sessions = (): Promise<number> => platform.metric("tidewire_mqtt_sessions");
  // Those of the tests before are on their way out: who counts has to wait for them.
  let before = await sessions();
  await until("nobody else's end", async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const earlier = before;
    before = await sessions();
    return before === earlier;
  });
  const first = await clients.connect({ clientId: "mortal", ...kept(1) });
  await first.leave();
  await until("its end", async () => (await sessions()) === before);
  const back = await clients.connect({ clientId: "mortal", ...kept(1) });
  assert.equal(back.connack?.sessionPresent, false);
  await back.leave();
});

test("retain handling 0, 1 and 2, and retain as published", async () => {
  const topic = clients.topic();
  const sender = await clients.connect();
  await sender.client.publishAsync(topic, "kept", { qos: 1, retain: true });
  const subscriber = await clients.connect();
  const answers = async (rh: number, marker: string): Promise<readonly string[]> => {
    const from = subscriber.publishes.length;
    await subscriber.client.subscribeAsync(topic, { qos: 1, rh, rap: true });
    await sender.client.publishAsync(topic, marker, { qos: 1 });
    await until(marker, async () => subscriber.texts.includes(marker));
    return subscriber.texts.slice(from);
  };
  assert.deepEqual(await answers(2, "never"), ["never"]);
  assert.deepEqual(await answers(1, "not new"), ["not new"]);
  assert.deepEqual((await answers(0, "always")).toSorted(), ["always", "kept"]);
  await subscriber.client.unsubscribeAsync(topic);
  assert.deepEqual((await answers(1, "new")).toSorted(), ["kept", "new"]);
  await sender.client.publishAsync(topic, "as published", { qos: 1, retain: true });
  await until("the last", async () => subscriber.texts.includes("as published"));
  assert.equal(subscriber.publishes.at(-1)?.retain, true);
});

test("message expiry counts down while a message waits, and ends it", async () => {
  const topic = clients.topic();
  const away = await clients.connect({ clientId: "away", ...kept() });
  await away.client.subscribeAsync(topic, { qos: 1 });
  await away.leave();
  const sender = await clients.connect();
  await sender.client.publishAsync(topic, "long", { qos: 1, properties: { messageExpiryInterval: 1_000 } });
  await sender.client.publishAsync(topic, "short", { qos: 1, properties: { messageExpiryInterval: 1 } });
  await sender.client.publishAsync(`${topic}/r`, "short", {
    qos: 1,
    retain: true,
    properties: { messageExpiryInterval: 1 },
  });
  await until("its end", async () => {
    const looker = await clients.connect();
    await looker.client.subscribeAsync([`${topic}/r`, topic], { qos: 0 });
    await sender.client.publishAsync(topic, "now");
    const [first] = await looker.got(1);
    await looker.leave();
    return first!.payload.toString() === "now";
  });
  const back = await clients.connect({ clientId: "away", ...kept() });
  await back.got(1);
  await sender.client.publishAsync(topic, "last", { qos: 1 });
  await until("the last", async () => back.texts.includes("last"));
  assert.ok(!back.texts.includes("short"), back.texts.join());
  const left = back.publishes[0]?.properties?.messageExpiryInterval ?? 0;
  assert.ok(left > 0 && left < 1_000, `${left} s`);
});

test("topic aliases of a client are understood, and it is sent some where it takes them", async () => {
  const topic = `${clients.topic()}/with/a/long/name`;
  const subscriber = await clients.connect({ properties: { topicAliasMaximum: 5 } });
  await subscriber.client.subscribeAsync(topic, { qos: 1 });
  const sender = await clients.connect({ autoUseTopicAlias: true });
  assert.ok((sender.connack?.properties?.topicAliasMaximum ?? 0) > 0);
  const topics: string[] = [];
  subscriber.client.on("message", (name) => topics.push(name));
  for (let i = 0; i < 5; i++) await sender.client.publishAsync(topic, `${i}`, { qos: 1 });
  await subscriber.got(5);
  assert.deepEqual(subscriber.texts, ["0", "1", "2", "3", "4"]);
  await until("what the client makes of it", async () => topics.length === 5);
  assert.deepEqual(new Set(topics), new Set([topic]));
  assert.ok(
    subscriber.publishes.some((packet) => packet.properties?.topicAlias !== undefined),
    "no alias was used",
  );
});

test("subscription identifiers, also of subscriptions that overlap; one delivery at the highest QoS", async () => {
  const topic = clients.topic();
  const subscriber = await clients.connect();
  await subscriber.client.subscribeAsync(`${topic}/#`, { qos: 0, properties: { subscriptionIdentifier: 7 } });
  await subscriber.client.subscribeAsync(`${topic}/a`, { qos: 2, properties: { subscriptionIdentifier: 268_435_455 } });
  const sender = await clients.connect();
  await sender.client.publishAsync(`${topic}/a`, "both", { qos: 2 });
  await sender.client.publishAsync(`${topic}/b`, "one", { qos: 2 });
  await subscriber.got(2);
  const both = subscriber.publishes.filter((packet) => packet.payload.toString() === "both");
  assert.ok(both.length === 1 || both.length === 2, "once, or once per subscription");
  const identifiers = subscriber.publishes.flatMap((packet) => packet.properties?.subscriptionIdentifier ?? []);
  assert.deepEqual(
    identifiers.toSorted((a, b) => a - b),
    [7, 7, 268_435_455],
  );
  assert.ok(both.some((packet) => packet.qos === 2));
});

test("No Local: a client is not sent its own", async () => {
  const topic = clients.topic();
  const peer = await clients.connect();
  await peer.client.subscribeAsync(topic, { qos: 1, nl: true });
  await peer.client.publishAsync(topic, "mine", { qos: 1 });
  await clients.publish("-V", "mqttv5", "-t", topic, "-q", "1", "-m", "theirs");
  await peer.got(1);
  assert.deepEqual(peer.texts, ["theirs"]);
});

test("request and response: topic, correlation, and where a client may be answered", async () => {
  const topic = clients.topic();
  const server = await clients.connect();
  await server.client.subscribeAsync(`${topic}/ask`, { qos: 1 });
  server.client.on("message", (_topic, payload, { properties }) => {
    const { responseTopic, correlationData } = properties ?? {};
    server.client.publish(responseTopic!, `${payload.toString()}!`, {
      properties: { correlationData: correlationData! },
    });
  });
  const asking = await clients.connect({ properties: { requestResponseInformation: true } });
  await asking.client.subscribeAsync(`${topic}/answer`, { qos: 1 });
  const correlationData = Buffer.from([0, 1, 255]);
  await asking.client.publishAsync(`${topic}/ask`, "well", {
    qos: 1,
    properties: { responseTopic: `${topic}/answer`, correlationData },
  });
  const [answer] = await asking.got(1);
  assert.equal(answer?.payload.toString(), "well!");
  assert.deepEqual(answer?.properties?.correlationData, correlationData);
});

test("user properties, content type and payload format travel as they are, in order", async () => {
  const topic = clients.topic();
  const lines = await clients.subscribe("-V", "mqttv5", "-t", topic, "-F", "> %P|%C|%p");
  const subscriber = await clients.connect();
  await subscriber.client.subscribeAsync(topic, { qos: 1 });
  const flags =
    "-V mqttv5 -q 1 -m {} -D publish user-property b 2 -D publish user-property a 1 -D publish content-type application/json";
  await clients.publish("-t", topic, ...flags.split(" "));
  const [packet] = await subscriber.got(1);
  assert.deepEqual(Object.entries({ ...packet?.properties?.userProperties }), [
    ["b", "2"],
    ["a", "1"],
  ]);
  assert.equal(packet?.properties?.contentType, "application/json");
  assert.deepEqual(await lines(1), ["b:2 a:1|application/json|{}"]);
});

test("Receive Maximum: no more is under way than the client takes", async () => {
  const topic = clients.topic();
  const subscriber = clients.open({ properties: { receiveMaximum: 2 } });
  let most = 0;
  const open: (() => void)[] = [];
  subscriber.client.handleMessage = (_packet, done) => {
    open.push(() => done());
    most = Math.max(most, open.length);
  };
  await until("CONNACK", async () => subscriber.connack);
  assert.ok((subscriber.connack?.properties?.receiveMaximum ?? 65_535) > 0);
  await subscriber.client.subscribeAsync(topic, { qos: 1 });
  const sender = await clients.connect();
  for (let i = 0; i < 6; i++) await sender.client.publishAsync(topic, `${i}`, { qos: 1 });
  for (let i = 0; i < 6; i++) {
    await until("the next", async () => open.length > 0);
    open.shift()!();
  }
  await subscriber.got(6);
  assert.deepEqual(subscriber.texts, ["0", "1", "2", "3", "4", "5"]);
  assert.ok(most <= 2, `${most} at once`);
});

test("Maximum Packet Size: what is too large for a client is not sent to it", async () => {
  const topic = clients.topic();
  const subscriber = await clients.connect({ properties: { maximumPacketSize: 200 } });
  await subscriber.client.subscribeAsync(topic, { qos: 1 });
  const sender = await clients.connect();
  await sender.client.publishAsync(topic, "x".repeat(500), { qos: 1 });
  await sender.client.publishAsync(topic, "small", { qos: 1 });
  await subscriber.got(1);
  assert.deepEqual(subscriber.texts, ["small"]);
});

test("a client without an identifier is assigned one, and one that asks for too long a keep-alive is told", async () => {
  const nameless = await clients.connect({ clientId: "", clean: true, keepalive: 65_535 });
  assert.match(nameless.connack?.properties?.assignedClientIdentifier ?? "", /./);
  assert.ok((nameless.connack?.properties?.serverKeepAlive ?? 65_535) < 65_535);
});

test("reasons, in codes and in words: of a publish, a subscription, an unsubscription that is refused", async () => {
  const peer = await clients.connect();
  const refused = await peer.client.publishAsync("elsewhere", "x", { qos: 1 }).catch((error: unknown) => error);
  assert.ok(refused instanceof Error);
  const puback = peer.packets.find((packet) => packet.cmd === "puback");
  assert.equal(puback?.reasonCode, 0x87);
  assert.match(puback?.properties?.reasonString ?? "", /./);
  await peer.client.subscribeAsync("elsewhere", { qos: 1 }).catch(() => {});
  const suback = await until("SUBACK", async () => peer.packets.find((packet) => packet.cmd === "suback"));
  assert.deepEqual(suback.granted, [0x87]);
  await peer.client.unsubscribeAsync("it/never").catch(() => {});
  const unsuback = await until("UNSUBACK", async () => peer.packets.find((packet) => packet.cmd === "unsuback"));
  assert.deepEqual(unsuback.granted, [0x11]);
});

test("AUTH: a user proves its password by SCRAM-SHA-256", async () => {
  for (const [password, reasonCode] of [
    [USER.password, 0],
    ["wrong", 0x86],
  ] as const) {
    const scram = new ScramClient(USER.name, password);
    const authenticationMethod = "SCRAM-SHA-256";
    const peer = clients.open({
      clientId: `ada-${reasonCode}`,
      properties: { authenticationMethod, authenticationData: scram.first() },
    });
    peer.client.handleAuth = (packet, answer) => {
      const authenticationData = scram.answer(packet.properties!.authenticationData!);
      answer(undefined, { cmd: "auth", reasonCode: 0x18, properties: { authenticationMethod, authenticationData } });
    };
    const connack = await until("CONNACK", async () => peer.connack);
    assert.equal(connack.reasonCode, reasonCode);
    if (reasonCode === 0) assert.match(connack.properties?.authenticationData?.toString() ?? "", /^v=/);
  }
});

test("will delay: a client that is back in time takes its will away, one that stays away leaves it", async () => {
  const topic = clients.topic();
  const watcher = await clients.connect();
  await watcher.client.subscribeAsync(topic, { qos: 1 });
  const withWill = (clientId: string): Promise<unknown> =>
    clients
      .connect({
        clientId,
        ...kept(),
        will: { topic, payload: Buffer.from(clientId), qos: 1, retain: false, properties: { willDelayInterval: 2 } },
      })
      .then((peer) => peer.vanish());
  await withWill("back-in-time");
  const back = await clients.connect({ clientId: "back-in-time", ...kept() });
  await withWill("stays-away");
  await watcher.got(1);
  assert.deepEqual(watcher.texts, ["stays-away"]);
  await back.leave();
});

test("shared subscriptions: each message to one of the group, the work divided; retained ones are for nobody", async () => {
  const topic = clients.topic();
  const sender = await clients.connect();
  await sender.client.publishAsync(`${topic}/r`, "retained", { qos: 1, retain: true });
  const filter = `$share/workers/${topic}/#`;
  const workers = [await clients.connect(), await clients.connect()];
  for (const { client } of workers) await client.subscribeAsync(filter, { qos: 1 });
  const lines = await clients.subscribe("-V", "mqttv5", "-t", filter, "-q", "1", "-F", "> %p");
  const alone = await clients.connect();
  await alone.client.subscribeAsync(`${topic}/work`, { qos: 1 });
  const work = Array.from({ length: 30 }, (_, i) => `${i}`);
  for (const piece of work) await sender.client.publishAsync(`${topic}/work`, piece, { qos: 1 });
  await alone.got(30);
  const theirs = (): readonly string[] => workers.flatMap(({ texts }) => texts);
  await until("everything done", async () => theirs().length + (await lines(0)).length >= 30);
  const byMosquitto = await lines(1);
  const inOrder = (texts: readonly string[]): string[] => texts.toSorted((a, b) => Number(a) - Number(b));
  assert.deepEqual(inOrder([...theirs(), ...byMosquitto]), work);
  for (const { texts } of workers) assert.ok(texts.length > 0, "everybody has some of it");
});

for (const alpn of ["mqtt", "x-amzn-mqtt-ca"]) {
  test(`a client that offers ALPN '${alpn}' is served`, async () => {
    const topic = clients.topic();
    const peer = await clients.connect({ ALPNProtocols: [alpn] });
    await peer.client.subscribeAsync(topic, { qos: 1 });
    await peer.client.publishAsync(topic, alpn, { qos: 1 });
    await peer.got(1);
    assert.deepEqual(peer.texts, [alpn]);
  });
}

for (const protocolVersion of [4, 5] as const) {
  test(`MQTT ${protocolVersion === 4 ? "3.1.1" : "5.0"} over WebSocket, on the HTTPS port`, async () => {
    const topic = clients.topic();
    const port = Number(new URL(platform.ready.https).port);
    const peer = await clients.connect({ protocol: "wss", port, path: "/mqtt", protocolVersion });
    await peer.client.subscribeAsync(topic, { qos: 2 });
    const large = "x".repeat(100_000);
    await peer.client.publishAsync(topic, large, { qos: 2 });
    await clients.publish("-t", topic, "-q", "1", "-m", "from TCP");
    await peer.got(2);
    assert.deepEqual(peer.texts, [large, "from TCP"]);
  });
}

test("$SYS: an administrator's tool reads what the broker says about itself", async () => {
  const lines = await clients.subscribe(
    "-t",
    "$SYS/broker/version",
    "-t",
    "$SYS/broker/clients/connected",
    "-F",
    "> %t %p",
  );
  // What is said at once was true some seconds ago, when there may have been nobody; the next one counts this client.
  for (let count = 2; ; count++) {
    const told = (await lines(count)).join("\n");
    assert.match(told, /^\$SYS\/broker\/version tidewire /im);
    if (/^\$SYS\/broker\/clients\/connected [1-9]/m.test(told)) return;
  }
});

test("a platform that is stopped says so to its clients", async () => {
  const peer = await clients.connect();
  const stopped = platform.stop();
  assert.equal((await peer.sentOff()).reasonCode, 0x8b);
  await stopped;
});
