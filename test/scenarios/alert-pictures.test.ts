import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MqttClient } from "mqtt";
import { ChatRoom, slackRoom, telegramRoom } from "../../src/rules/conversing.fixture.ts";
import { Receiver } from "../../src/rules/rules.fixture.ts";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
const [telegram, slack] = [new ChatRoom(), new ChatRoom()];
let receiver: Receiver;
let platform: PlatformProcess;
let device: Device;
let client: MqttClient;

before(async () => {
  receiver = await Receiver.start();
  const [ofTelegram, ofSlack] = [telegramRoom(telegram), slackRoom(slack, "xoxb-1")];
  receiver.answer = (request) => (request.path.startsWith("/bot") ? ofTelegram(request) : ofSlack(request));
  const server = new URL(receiver.url).origin;
  const config = join(folder.path, "tidewire.yaml");
  const alerts = {
    link: "https://tide.example",
    contacts: [
      { name: "plant", telegram: { token: "1:abc", chatId: "-100", server } },
      { name: "office", slack: { token: "xoxb-1", channel: "#plant", server } },
    ],
    route: { contacts: ["plant", "office"], groupBy: ["id"], groupWait: "0s", groupInterval: "1s" },
  };
  writeFileSync(config, JSON.stringify({ alerts })); // JSON is YAML
  platform = await PlatformProcess.start(folder.path, ["--config", config]);
  device = await addDevice(platform, folder.path, "press-1");
  client = await connectDevice(platform, device);
});

after(async () => {
  await client?.endAsync(true);
  await platform?.stop();
  await Receiver.downAll();
  folder.remove();
});

function reading(cpuPercent: number): Promise<unknown> {
  const payload = JSON.stringify({ ts: Date.now(), cpu: { percent: cpuPercent } });
  return client.publishAsync("telemetry/press-1/system", payload, { qos: 1 });
}

const bodyTo = (path: string): string => receiver.received.find((request) => request.path.endsWith(path))!.body;

test("a notification carries the chart of what was measured, and links to it", async () => {
  for (const value of [20, 40, 60]) await reading(value);
  await until("the readings to be stored", async () => {
    const { values } = await platform.api<{ values: unknown[] }>("GET", "/api/things/press-1/latest");
    return values.length > 0;
  });
  await reading(97);
  await until("both to be told", async () => telegram.messages.length === 1 && slack.messages.length === 1);
  assert.equal(telegram.messages[0]!.hasPicture, true);
  assert.match(telegram.messages[0]!.text, /Critical|Warning/);
  assert.match(telegram.messages[0]!.text, /Alert: https:\/\/tide\.example\/#\/alerts\?alert=cpu_high/);
  assert.match(telegram.messages[0]!.text, /Chart: https:\/\/tide\.example\/#\/things\/press-1\?from=\d+&to=\d+/);
});

test("what Slack fetches is a PNG, by a signed link that is good for this alert alone", async () => {
  const { attachments } = JSON.parse(bodyTo("chat.postMessage")) as { attachments: [{ image_url: string }] };
  const link = new URL(attachments[0].image_url);
  assert.equal(link.origin, "https://tide.example");
  const fetched = await fetch(`${platform.ready.http}${link.pathname}${link.search}`);
  assert.deepEqual([fetched.status, fetched.headers.get("content-type")], [200, "image/png"]);
  const png = Buffer.from(await fetched.arrayBuffer());
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1280, 720]);
  const other = link.pathname.replace("press-1", "press-2");
  assert.equal((await fetch(`${platform.ready.http}${other}${link.search}`)).status, 403);
  const later = link.search.replace(/until=\d+/, "until=9999999999999");
  assert.equal((await fetch(`${platform.ready.http}${link.pathname}${later}`)).status, 403);
});

test("killed and started again, it edits the messages that it sent before, and says aloud that it is over", async () => {
  await until("the messages' names to be saved", async () => (await platform.metric("tidewire_alert_messages")) === 2);
  const [{ id }] = (await platform.api<{ alerts: [{ id: string }] }>("GET", "/api/alerts")).alerts;
  const path = `/api/alerts/${encodeURIComponent(id)}`;
  // What a person does is saved at once, and with it all that is not saved yet.
  await platform.api("POST", `${path}/comment`, { comment: "on my way" });
  await platform.end("SIGKILL");
  const options = ["--config", join(folder.path, "tidewire.yaml"), ...platform.samePorts()];
  platform = await PlatformProcess.start(folder.path, options);
  await platform.api("POST", `${path}/resolve`, { comment: "fan replaced" });
  await until("both to be told", async () => telegram.messages.length === 2 && slack.messages.length === 2);
  for (const room of [telegram, slack]) {
    assert.match(room.messages[0]!.text, /Resolved/);
    assert.ok(room.messages[0]!.edits >= 1);
    assert.match(room.messages[1]!.text, /Resolved after/);
    assert.equal(room.messages[1]!.answers, room.messages[0]!.id);
  }
  const story = await platform.api<{ history: { type: string; note: string | null }[] }>("GET", path);
  assert.deepEqual(
    story.history.map(({ type, note }) => [type, note]),
    [
      ["raised", null],
      ["notified", "plant (telegram), office (slack)"],
      ["commented", "on my way"],
      ["resolved", "fan replaced"],
    ],
  );
});
