import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { minutes, seconds } from "../../base/mod.ts";
import { Receiver, World } from "../rules.fixture.ts";
import { validateAction, validateNotify } from "./registry.ts";

let receiver: Receiver;
let world: World;

/** Exact protocol stand-ins: what each service is sent, and what its answers mean (contracts.md section 4). */
describe("chat services", () => {
  beforeEach(async () => {
    receiver = await Receiver.start();
    world = await World.start();
  });
  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  const TOKEN = "123456:ABC-def_9";
  const KEY = "0123456789abcdef0123456789abcdef";
  const put = (action: object): unknown => world.rules.put("r", { sql: "SELECT * FROM 'a'", actions: [action] });
  const body = (i = 0): Record<string, unknown> => JSON.parse(receiver.bodies[i]!) as Record<string, unknown>;
  const reason = (): string => world.rules.dead.list({ limit: 1 })[0]?.lastError ?? "";
  const origin = (): string => new URL(receiver.url).origin;

  test("Telegram: plain text; retry_after of the answer holds all of the chat; 400 and 403 are final", async () => {
    receiver.answers.push(
      {
        status: 429,
        body: '{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":90}}',
      },
      200,
      { status: 403, body: '{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}' },
    );
    put({ telegram: { token: TOKEN, chatId: -1001, text: "${thing}: *${s}*", server: origin() } });
    world.publish("a", { s: "<b>_x_" });
    await world.pass(seconds(85), seconds(1));
    assert.equal(receiver.received.length, 1);
    await world.pass(seconds(10), seconds(1));
    assert.equal(receiver.received.length, 2);
    assert.equal(receiver.received[0]!.path, `/bot${TOKEN}/sendMessage`);
    assert.deepEqual(body(1), {
      chat_id: "-1001",
      text: "pi-1: *<b>_x_*",
      link_preview_options: { is_disabled: true },
    });
    world.publish("a", { s: "x" });
    await world.pass(seconds(5), seconds(1));
    assert.equal(reason(), "HTTP 403");
  });

  test("Discord: nobody is pinged; the limit in the headers is kept before it is hit; retry_after is in fractions", async () => {
    receiver.answers.push(
      { status: 204, headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "20.5" } },
      { status: 429, body: '{"message":"You are being rate limited.","retry_after":30.25,"global":false}' },
      204,
    );
    put({ discord: { url: receiver.url, text: "${s}" } });
    world.publish("a", { s: "@everyone *x*" });
    world.publish("a", { s: "two" });
    await world.pass(seconds(20), seconds(1));
    assert.equal(receiver.received.length, 1);
    assert.deepEqual(body(), { content: "@everyone \\*x\\*", allowed_mentions: { parse: [] } });
    await world.pass(seconds(30), seconds(1));
    assert.equal(receiver.received.length, 2);
    await world.pass(seconds(5), seconds(1));
    assert.equal(receiver.received.length, 3);
    assert.equal(world.metrics.value("tidewire_delivery_attempts_total", { kind: "discord", outcome: "delivered" }), 2);
  });

  test("Teams: an adaptive card; throttling backs off", async () => {
    receiver.answers.push(429, 202);
    put({ teams: { url: receiver.url } });
    world.publish("a", { s: "x" });
    await world.pass(seconds(10), seconds(1));
    assert.equal(receiver.received.length, 2);
    const [card] = (body(1) as { attachments: { contentType: string; content: { body: { text: string }[] } }[] })
      .attachments;
    assert.equal(card!.contentType, "application/vnd.microsoft.card.adaptive");
    assert.match(card!.content.body[0]!.text, /^\*\*r\*\* · pi-1\n/);
  });

  test("PagerDuty: 202 is the success, 400 is final, the routing key joins only the request", async () => {
    receiver.answers.push(202, 400, 200);
    put({
      pagerduty: {
        routingKey: KEY,
        summary: "Tank ${n}",
        dedupKey: "tank-${n}",
        severity: "warning",
        url: receiver.url,
      },
    });
    for (const n of [1, 2, 3]) world.publish("a", { n });
    await world.pass(minutes(1), seconds(1));
    const { routing_key: key, event_action: event, dedup_key: dedup, payload } = body();
    assert.deepEqual([key, event, dedup], [KEY, "trigger", "tank-1"]);
    const { summary, source, severity, custom_details: details } = payload as Record<string, unknown>;
    assert.deepEqual([summary, source, severity, details], ["Tank 1", "pi-1", "warning", { n: 1 }]);
    const letters = world.rules.dead.list({ limit: 9 });
    assert.deepEqual(
      letters.map(({ lastError }) => lastError),
      ["HTTP 200, but not 202", "HTTP 400"],
    );
    assert.doesNotMatch(Buffer.from(letters[0]!.body).toString(), new RegExp(KEY));
  });

  test("InfluxDB: one request for a batch, by the rules of the line protocol; a wrong point is found and stops no other", async () => {
    receiver.answer = ({ body: lines }) =>
      lines.includes("poison") ? { status: 400, body: "unable to parse: it\nmore" } : 204;
    const tags = { "site name": "${site}", none: "${missing}" };
    const influxdb = {
      url: origin(),
      org: "o",
      bucket: "b c",
      token: "SECRET",
      measurement: "my m,${n}",
      tags,
      timestamp: "${at}",
    };
    put({ influxdb });
    world.publish("a", { n: 1, site: "a=b, c", s: 'say "hi" \\ you\n', f: 1.5, yes: true, o: { x: [1, null] }, at: 5 });
    for (const n of [2, 3, 4]) world.publish("a", { n, s: n === 3 ? "poison" : "ok" });
    await world.pass(seconds(2), seconds(1) / 20);
    const [first] = receiver.received;
    assert.equal(first!.path, "/api/v2/write?org=o&bucket=b+c&precision=ms");
    assert.equal(first!.headers.authorization, "Token SECRET");
    assert.equal(
      first!.body.split(" 5\n")[0],
      'my\\ m\\,1,site\\ name=a\\=b\\,\\ c n=1,site="a=b, c",s="say \\"hi\\" \\\\ you\n",f=1.5,yes=true,o.x.0=1,at=5',
    );
    assert.equal(
      world.metrics.value("tidewire_delivery_attempts_total", { kind: "influxdb", outcome: "delivered" }),
      3,
    );
    assert.equal(reason(), "HTTP 400: unable to parse: it");
  });

  test("InfluxDB 1: database, user and password", async () => {
    receiver.standing = 204;
    put({ influxdb: { url: origin(), database: "d", user: "ü", password: "p", measurement: "m" } });
    world.publish("a", { n: 1 });
    await world.pass(seconds(1), seconds(1) / 20);
    assert.equal(receiver.received[0]!.path, "/write?db=d&precision=ms");
    assert.equal(receiver.received[0]!.headers.authorization, `Basic ${Buffer.from("ü:p").toString("base64")}`);
  });

  test("secrets are hidden, and what is shown stands for them when the rule is sent back", async () => {
    put({ telegram: { token: TOKEN, chatId: "1", server: origin() } });
    const { redactRule } = await import("../validate.ts");
    const shown = redactRule(world.rules.get("r")!);
    assert.doesNotMatch(JSON.stringify(shown), /ABC-def/);
    world.rules.put("r", { sql: "SELECT * FROM 'b'", actions: shown.actions });
    assert.match(JSON.stringify(world.rules.get("r")), /ABC-def/);
    assert.throws(() => world.rules.put("other", { sql: "SELECT * FROM 'b'", actions: shown.actions }), {
      code: "RULE_INVALID",
      message: /actions\[0\]\.token.*hidden/,
    });
  });

  test("an alert is told in each channel's own form, from one text", async () => {
    const url = receiver.url;
    const notify = [
      { telegram: { token: TOKEN, chatId: "1", server: origin() } },
      { discord: { url } },
      { teams: { url } },
      { pagerduty: { routingKey: KEY, summary: "s", url } },
    ].map((action) => validateNotify(action, "notify"));
    receiver.answer = ({ body: sent }) => (sent.includes("routing_key") ? 202 : 200);
    await world.close();
    world = await World.start({ notify });
    const alert = { severity: "critical", summary: "Tank ${n} is *full*", clearAfterSeconds: 0 };
    world.rules.put("full", { sql: "SELECT * FROM 'a' WHERE n > 5", actions: [{ alert }] });
    world.publish("a", { n: 7 });
    await world.pass(seconds(2), seconds(1));
    world.publish("a", { n: 1 });
    await world.pass(seconds(2), seconds(1));
    const of = (part: string): Record<string, unknown>[] =>
      receiver.bodies.filter((sent) => sent.includes(part)).map((sent) => JSON.parse(sent) as Record<string, unknown>);
    assert.equal(receiver.received.length, 8);
    assert.deepEqual(
      of("chat_id").map(({ text }) => (text as string).split("\n")[0]),
      ["🚨 Critical: Tank 7 is *full*", "✅ Resolved: Tank 7 is *full*"],
    );
    assert.match(JSON.stringify(of("embeds")[0]), /Tank 7 is \\\\\*full/);
    assert.equal(of("AdaptiveCard").length, 2);
    const incidents = of("routing_key");
    assert.deepEqual(
      incidents.map((event) => event["event_action"]),
      ["trigger", "resolve"],
    );
    assert.equal(incidents[0]!["dedup_key"], incidents[1]!["dedup_key"]);
  });

  const REFUSED: readonly (readonly [action: object, at: string])[] = [
    [{ telegram: { token: "a/../b", chatId: "1" } }, "a.telegram.token"],
    [{ pagerduty: { routingKey: "x", summary: "s" } }, "a.pagerduty.routingKey"],
    [{ influxdb: { url: "http://a", measurement: "m" } }, "a.influxdb"],
    [{ influxdb: { url: "http://a", bucket: "b", measurement: "m" } }, "a.influxdb.org"],
    [{ nats: { url: "http://a", subject: "s" } }, "a.nats.url"],
    [{ nats: { url: "nats://u:p@a", subject: "s" } }, "a.nats.url"],
    [{ postgresql: { url: "postgresql://a/d", table: "t", columns: [] } }, "a.postgresql.columns"],
    [{ postgresql: { url: "postgresql://a/d", table: "t", columns: ["a", "a"] } }, "a.postgresql.columns"],
    [{ redis: { url: "redis://a", stream: "s", maxLength: 0 } }, "a.redis.maxLength"],
    [{ amqp: { url: "amqp://a", routingKey: "${" } }, "a.amqp.routingKey"],
    [{ email: { url: "smtp://a", from: "x", to: "a@b.c" } }, "a.email.from"],
    [{ email: { url: "smtp://a", from: "a@b.c", to: "a@b.c\r\nBcc: d@e.f" } }, "a.email.to[0]"],
    [{ republish: { topic: "t", qos: 2 } }, "a.republish.qos"],
    [{ http: { url: "https://a/${topic()}" } }, "a.http.url"],
    [{ dynamoDBv2: {} }, "a.dynamoDBv2"],
    [{ telegramm: {} }, "a.telegramm"],
  ];
  for (const [action, at] of REFUSED) {
    test(`refused at ${at}: ${JSON.stringify(action)}`, () => {
      assert.throws(
        () => validateAction(action, "a"),
        (error: { code: string; details: { at: string; reason: string } }) => {
          assert.equal(error.details.at, at);
          if (at.endsWith("v2"))
            assert.match(error.details.reason, /AWS's dynamoDBv2 is no action here; use postgresql/);
          if (at.endsWith("mm")) assert.match(error.details.reason, /Did you mean telegram/);
          return error.code === "RULE_INVALID";
        },
      );
    });
  }
});
