import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { minutes, seconds } from "../base/mod.ts";
import { ChatRoom, discordRoom, formOf, slackRoom, telegramRoom } from "./conversing.fixture.ts";
import type { AlertPictures } from "./conversing.ts";
import { NO_CRON, UTC_ONLY } from "./alerts/calendar.ts";
import { readAlertConfig } from "./rule-alerts.ts";
import { Receiver, World } from "./rules.fixture.ts";
import type { Answer, Received, WorldOptions } from "./rules.fixture.ts";

const TOKEN = "123456:ABC-def_9";
const PNG = new TextEncoder().encode("\x89PNG\r\n\x1a\n...");

let receiver: Receiver;
let world: World;
let room: ChatRoom;

interface Channel {
  readonly name: string;
  readonly contact: (origin: string) => object;
  readonly stand: (room: ChatRoom) => (request: Received) => Answer;
  /** What the answer stands below; a webhook of Discord cannot answer. */
  readonly answers: boolean;
}

const TELEGRAM: Channel = {
  name: "Telegram",
  contact: (origin) => ({ telegram: { token: TOKEN, chatId: "-1001", server: origin } }),
  stand: telegramRoom,
  answers: true,
};
const CHANNELS: readonly Channel[] = [
  TELEGRAM,
  {
    name: "Discord",
    contact: (origin) => ({ discord: { url: `${origin}/api/webhooks/1/abc` } }),
    stand: discordRoom,
    answers: false,
  },
  {
    name: "Slack with a bot",
    contact: (origin) => ({ slack: { token: TOKEN, channel: "#plant", server: origin } }),
    stand: (given) => slackRoom(given, TOKEN),
    answers: true,
  },
];

const AT_ONCE = { groupBy: ["id"], groupWait: "0s", groupInterval: "0s" };

/** The section of a configuration whose contact point is there. */
function alertsOf({ contact }: Pick<Channel, "contact">, { url }: Receiver, route: object = AT_ONCE): object {
  return { contacts: [{ name: "chat", ...contact(new URL(url).origin) }], route: { contacts: ["chat"], ...route } };
}

async function open({ contact, stand }: Channel, more: WorldOptions & { readonly route?: object } = {}): Promise<void> {
  receiver = await Receiver.start();
  room = new ChatRoom();
  receiver.answer = stand(room);
  const { route, ...options } = more;
  world = await World.start({ alerts: alertsOf({ contact }, receiver, route), ...options });
  const alert = { severity: "critical", summary: "Tank at ${n}", value: "${n}", clearAfterSeconds: 0 };
  world.rules.put("full", { sql: "SELECT * FROM 'a' WHERE n > 5", actions: [{ alert }] });
}

const raise = (n = 7): number => world.publish("a", { n });
const end = (): number => world.publish("a", { n: 1 });
const acknowledge = (): unknown =>
  world.rules.alerts.acknowledge(world.rules.alerts.list({ state: "active", limit: 1 })[0]!.id, "ann");

describe("a notification is one message that changes", () => {
  beforeEach(() => {
    world = undefined!;
  });
  afterEach(async () => {
    await world?.close();
    await Receiver.downAll();
  });

  for (const channel of CHANNELS) {
    test(`${channel.name}: raised is sent, acknowledged edits it, resolved edits it and says so aloud; the next alert is a new message`, async () => {
      await open(channel);
      raise();
      await world.pass(seconds(3), seconds(1));
      assert.equal(room.messages.length, 1);
      acknowledge();
      await world.pass(seconds(3), seconds(1));
      assert.deepEqual([room.messages.length, room.messages[0]!.edits], [1, 1]);
      end();
      await world.pass(seconds(5), seconds(1));
      assert.equal(room.messages.length, 2);
      const [message, reply] = room.messages;
      assert.match(message!.text, /Resolved/);
      assert.match(reply!.text, /Resolved after \d+ s: Tank at 7$/);
      assert.equal(reply!.answers, channel.answers ? message!.id : null);
      raise(8);
      await world.pass(seconds(3), seconds(1));
      assert.equal(room.messages.length, 3);
      assert.match(room.messages[2]!.text, /Tank at 8/);
    });

    test(`${channel.name}: a message that somebody has deleted is sent anew, once, and then edited again`, async () => {
      await open(channel);
      raise();
      await world.pass(seconds(3), seconds(1));
      room.deleteAll();
      acknowledge();
      await world.pass(seconds(3), seconds(1));
      assert.equal(room.messages.length, 1);
      room.deleteAll();
      end();
      await world.pass(seconds(5), seconds(1));
      assert.equal(room.messages.length, 1, "what was sent anew was heard: no reply is needed");
      assert.match(room.messages[0]!.text, /Resolved/);
      assert.deepEqual(world.rules.dead.list({ limit: 9 }), []);
    });

    test(`${channel.name}: at another address, what waits goes there; what was sent stays as it was, and is not edited from there`, async () => {
      await open(channel);
      raise();
      await world.pass(seconds(3), seconds(1));
      await receiver.down();
      acknowledge();
      await world.pass(seconds(3), seconds(1));
      const [elsewhere, before] = [new ChatRoom(), room];
      const next = await Receiver.start();
      next.answer = channel.stand(elsewhere);
      world.rules.replanAlerts(readAlertConfig(alertsOf(channel, next), { zones: UTC_ONLY, cron: NO_CRON }));
      await world.pass(minutes(5), seconds(1));
      assert.deepEqual(
        elsewhere.messages.map(({ edits }) => edits),
        [0],
        "sent anew, and once",
      );
      assert.match(elsewhere.messages[0]!.text, /update.*Tank at 7/);
      await receiver.up();
      end();
      await world.pass(seconds(5), seconds(1));
      assert.match(elsewhere.messages[0]!.text, /Resolved/);
      assert.deepEqual(
        before.messages.map(({ edits }) => edits),
        [0],
      );
    });

    test(`${channel.name}: the same where the configuration's file has changed while the platform was down`, async () => {
      await open(channel);
      raise();
      await world.pass(seconds(3), seconds(1));
      await receiver.down();
      acknowledge();
      await world.pass(seconds(3), seconds(1));
      const [elsewhere, before] = [new ChatRoom(), room];
      const next = await Receiver.start();
      next.answer = channel.stand(elsewhere);
      await world.restart(undefined, { alerts: alertsOf(channel, next) });
      await world.pass(minutes(5), seconds(1));
      assert.deepEqual(
        elsewhere.messages.map(({ edits }) => edits),
        [0],
        "sent anew, and once",
      );
      assert.match(elsewhere.messages[0]!.text, /update.*Tank at 7/);
      await world.restart();
      await receiver.up();
      end();
      await world.pass(seconds(5), seconds(1));
      assert.match(elsewhere.messages[0]!.text, /Resolved/);
      assert.deepEqual(
        before.messages.map(({ edits }) => edits),
        [0],
      );
    });

    test(`${channel.name}: after a restart the message that stands is still known`, async () => {
      await open(channel);
      raise();
      await world.pass(seconds(3), seconds(1));
      await world.restart();
      end();
      await world.pass(seconds(5), seconds(1));
      assert.deepEqual([room.messages.length, room.messages[0]!.edits], [2, 1]);
    });
  }

  test("what is edited while the first message still waits for its receiver finds it when it goes", async () => {
    await open(TELEGRAM);
    await receiver.down();
    raise();
    await world.pass(seconds(2), seconds(1));
    acknowledge();
    await world.pass(seconds(1));
    end();
    await world.pass(seconds(2), seconds(1));
    await receiver.up();
    await world.pass(minutes(5), seconds(1));
    assert.match(room.texts[0]!, /Resolved: Tank at 7$/);
    assert.match(room.texts[1]!, /Resolved after/);
    assert.equal(room.messages.length, 2);
  });

  test("killed between the answer and the save: at most one message twice, and none is lost", async () => {
    await open(TELEGRAM);
    raise();
    // The receiver has answered, and nothing was saved since.
    world.clock.advance(0);
    await receiver.count(1);
    await world.crash();
    await world.pass(seconds(30), seconds(1));
    assert.ok(room.messages.length >= 1 && room.messages.length <= 2, `${room.messages.length} messages`);
    const before = room.messages.length;
    end();
    await world.pass(seconds(30), seconds(1));
    assert.equal(room.messages.length, before + 1);
    assert.match(room.messages[before - 1]!.text, /Resolved/);
    assert.match(room.messages[before]!.text, /Resolved after/);
  });

  test("10,000 alerts are one message, edited with the count", async () => {
    await open(TELEGRAM, { route: { groupBy: ["rule"], groupWait: "5s", groupInterval: "30s" } });
    world.rules.put("full", {
      sql: "SELECT * FROM 'a' WHERE n > 5",
      actions: [{ alert: { severity: "critical", summary: "Tank ${id} is full", key: "${id}", clearAfterSeconds: 0 } }],
    });
    for (let id = 0; id < 5000; id++) world.publish("a", { n: 9, id }, { thing: `tank-${id}` });
    await world.pass(seconds(10), seconds(1));
    for (let id = 5000; id < 10_000; id++) world.publish("a", { n: 9, id }, { thing: `tank-${id}` });
    await world.pass(minutes(1), seconds(1));
    assert.equal(room.messages.length, 1);
    assert.match(room.messages[0]!.text, /10,000 alerts of full: 10,000 critical/);
    assert.match(room.messages[0]!.text, /… and 9,990 more/);
    for (let id = 0; id < 10_000; id++) world.publish("a", { n: 1, id }, { thing: `tank-${id}` });
    await world.pass(minutes(1), seconds(1));
    assert.equal(room.messages.length, 2);
    assert.match(room.messages[1]!.text, /Resolved after .* 10,000 alerts of full over/);
  });

  test("a thing that is forgotten leaves no name of its messages behind", async () => {
    await open(TELEGRAM);
    raise();
    await world.pass(seconds(3), seconds(1));
    assert.equal(world.rules.alerts.conversations.count, 1);
    world.rules.eraseThing("pi-1");
    assert.equal(world.rules.alerts.conversations.count, 0);
    await world.restart();
    assert.equal(world.rules.alerts.conversations.count, 0);
  });
});

describe("a notification carries its picture", () => {
  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  const pictures = (png: AlertPictures["png"]): AlertPictures => ({ png, link: (base, id) => `${base}/p/${id}` });

  for (const channel of CHANNELS.slice(0, 2)) {
    test(`${channel.name}: with the first message and with every edit; the reply has none`, async () => {
      const asked: string[] = [];
      await open(channel, {
        pictures: pictures((alert) => {
          asked.push(alert);
          return Promise.resolve(PNG);
        }),
      });
      raise();
      await world.pass(seconds(3), seconds(1));
      assert.equal(room.messages[0]!.hasPicture, true);
      acknowledge();
      await world.pass(seconds(3), seconds(1));
      end();
      await world.pass(seconds(5), seconds(1));
      assert.deepEqual(
        room.messages.map(({ hasPicture, edits }) => [hasPicture, edits]),
        [
          [true, 2],
          [false, 0],
        ],
      );
      assert.equal(asked.length, 3);
      assert.equal(new Set(asked).size, 1);
    });
  }

  test("an edit without a picture keeps the message that has one: its caption changes", async () => {
    const made = [Promise.resolve(PNG), Promise.resolve(null), Promise.reject(new Error("no telemetry"))];
    for (const one of made) one.catch(() => {});
    await open(TELEGRAM, { pictures: pictures(() => made.shift()!) });
    raise();
    await world.pass(seconds(3), seconds(1));
    acknowledge();
    await world.pass(seconds(3), seconds(1));
    end();
    await world.pass(seconds(5), seconds(1));
    assert.deepEqual(
      receiver.received.map(({ path }) => path.split("/").at(-1)),
      ["sendPhoto", "editMessageCaption", "editMessageCaption", "sendMessage"],
    );
    assert.deepEqual([room.messages[0]!.edits, room.messages[0]!.hasPicture], [2, true]);
  });

  test("a picture that does not come is not waited for, and the next message does not wait at all", async () => {
    let asked = 0;
    await open(TELEGRAM, {
      pictures: pictures(() => {
        asked++;
        return new Promise(() => {});
      }),
    });
    raise();
    await world.pass(seconds(2), seconds(1));
    assert.equal(room.messages.length, 0);
    await world.pass(seconds(2), seconds(1));
    assert.deepEqual([room.messages.length, room.messages[0]!.hasPicture], [1, false]);
    acknowledge();
    await world.pass(seconds(2), seconds(1));
    assert.deepEqual([room.messages[0]!.edits, asked], [1, 1]);
  });

  test("a text that is too long for a picture's caption is cut, not refused", async () => {
    await open(TELEGRAM, { pictures: pictures(() => Promise.resolve(PNG)) });
    const alert = { severity: "info", summary: "${s}", clearAfterSeconds: 0 };
    world.rules.put("long", { sql: "SELECT * FROM 'b'", actions: [{ alert }] });
    world.publish("b", { s: "ü".repeat(5000) });
    await world.pass(seconds(3), seconds(1));
    const { caption } = formOf(receiver.received[0]!);
    assert.ok(caption!.length <= 1024 && caption!.length > 500);
  });
});
