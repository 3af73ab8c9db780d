import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { WebSocket } from "ws";
import { LIMITS } from "../../base/mod.ts";
import { TOKEN, apiWorld, unavailable } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";
import type { LiveEvent, LiveRequest } from "./contract.ts";

const AS_ADMINISTRATOR = { authorization: `Bearer ${TOKEN}` };

/** One dashboard's connection: what it heard, in order. */
class Viewer {
  readonly socket: WebSocket;
  readonly heard: LiveEvent[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #news: () => void = () => {};

  constructor(url: string, headers: Record<string, string>, options: { ca?: string; autoPong?: boolean } = {}) {
    this.socket = new WebSocket(url, { headers, ...options });
    this.socket.on("message", (data: Buffer) => {
      this.heard.push(JSON.parse(data.toString()) as LiveEvent);
      this.#news();
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  async opened(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) await once(this.socket, "open");
    return this;
  }

  say(request: LiveRequest): void {
    this.socket.send(JSON.stringify(request));
  }

  /** The first event of this type that was not taken yet. */
  async next<T extends LiveEvent["type"]>(type: T): Promise<Extract<LiveEvent, { type: T }>> {
    for (;;) {
      const at = this.heard.findIndex((event) => event.type === type);
      if (at >= 0) return this.heard.splice(at, 1)[0] as Extract<LiveEvent, { type: T }>;
      await new Promise<void>((resolve) => (this.#news = resolve));
    }
  }

  /** Everything that was sent to it before this has arrived. */
  async settled(): Promise<void> {
    this.say({ type: "ping" });
    await this.next("pong");
  }
}

interface Place {
  readonly url: string;
  readonly httpPort: number;
  readonly secureUrl: string;
}

async function listen(world: ApiWorld): Promise<Place> {
  const { httpPort, httpsPort } = await world.listen();
  return {
    httpPort,
    url: `ws://127.0.0.1:${httpPort}/api/live`,
    secureUrl: `wss://localhost:${httpsPort}/api/live`,
  };
}

function points(thing: string, measurement = "system"): Parameters<ApiWorld["store"]["commit"]>[0] {
  return { thing, measurement, series: [{ measurement, field: "a", type: "number", times: [1], values: [2] }] };
}

async function metric(world: ApiWorld, line: string): Promise<number> {
  const text = await world.metrics.render();
  return Number(new RegExp(`^${line.replace(/[{}"]/g, "\\$&")} (\\d+)$`, "m").exec(text)?.[1]);
}

test("nobody gets a live connection without a login, through either listener, nor another site with a login", async () => {
  await using world = await apiWorld();
  const { url, secureUrl, httpPort } = await listen(world);
  const cookie = `tw_session=${world.people.sessions.begin(null, "127.0.0.1", "").value}`;
  const ca = world.authority.certificatePem;
  const own = `http://127.0.0.1:${httpPort}`;
  const attempts: readonly (readonly [Record<string, string>, number])[] = [
    [{}, 401],
    [{ authorization: "Bearer wrong" }, 401],
    [{ cookie: "tw_session=forged" }, 401],
    [{ cookie, origin: "http://evil.example" }, 403],
    [{ cookie, origin: "http://127.0.0.1:3000" }, 403],
    [{ cookie, "sec-fetch-site": "cross-site" }, 403],
    [AS_ADMINISTRATOR, 101],
    [{ cookie }, 101],
    [{ cookie, origin: own }, 101],
  ];
  for (const [headers, status] of attempts) {
    assert.equal(await statusOf(new WebSocket(url, { headers })), status, JSON.stringify(headers));
    const secure = {
      ...headers,
      ...(headers["origin"] === own ? { origin: new URL(secureUrl).origin.replace("wss", "https") } : {}),
    };
    assert.equal(await statusOf(new WebSocket(secureUrl, { headers: secure, ca })), status, JSON.stringify(secure));
  }
  assert.equal(await statusOf(new WebSocket(url, { headers: { ...AS_ADMINISTRATOR, host: "evil.example" } })), 421);
});

/** Of the answer to the upgrade; an accepted one is closed again. */
function statusOf(socket: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    socket.once("open", () => {
      socket.terminate();
      resolve(101);
    });
    socket.once("error", reject);
  });
}

test("a plain request to the live address is told what it speaks", async () => {
  await using world = await apiWorld();
  const answer = await world.ask("GET", "/api/live");
  assert.equal(answer.status, 400);
  assert.match(answer.text, /WebSocket/);
});

test("points reach those who watch the thing, and only the measurement that they asked for", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const all = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const one = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const none = await new Viewer(url, AS_ADMINISTRATOR).opened();
  all.say({ type: "watch", thing: "pump" });
  one.say({ type: "watch", thing: "pump", measurement: "plant" });
  none.say({ type: "watch", thing: "other" });
  assert.deepEqual(await all.next("watching"), { type: "watching", thing: "pump", at: 1000 });
  await one.next("watching");
  await none.next("watching");
  world.store.commit(points("pump", "system"));
  world.store.commit(points("pump", "plant"));
  assert.equal((await all.next("points")).measurement, "system");
  assert.deepEqual(await all.next("points"), { type: "points", ...points("pump", "plant") });
  assert.equal((await one.next("points")).measurement, "plant");
  await Promise.all([one.settled(), none.settled()]);
  assert.deepEqual([one.heard, none.heard], [[], []]);
});

test("a shadow's change reaches those who watch the thing, and nobody else", async () => {
  await using world = await apiWorld();
  world.registry.things.create("pump");
  const { url } = await listen(world);
  const watching = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const other = await new Viewer(url, AS_ADMINISTRATOR).opened();
  watching.say({ type: "watch", thing: "pump" });
  other.say({ type: "watch", thing: "other" });
  await watching.next("watching");
  await other.next("watching");
  const { status } = await world.ask("POST", "/things/pump/shadow?name=n", { state: { desired: { on: true } } });
  assert.equal(status, 200);
  assert.deepEqual(await watching.next("shadow"), { type: "shadow", thing: "pump", name: "n", version: 1 });
  await other.settled();
  assert.deepEqual(other.heard, []);
});

test("the store watches a thing from its first viewer to its last, however viewers come and go", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const [first, second] = [
    await new Viewer(url, AS_ADMINISTRATOR).opened(),
    await new Viewer(url, AS_ADMINISTRATOR).opened(),
  ];
  for (const viewer of [first, first, second]) {
    viewer.say({ type: "watch", thing: "pump" });
    await viewer.next("watching");
  }
  first.say({ type: "unwatch", thing: "pump" });
  first.say({ type: "unwatch", thing: "pump" });
  await first.settled();
  assert.deepEqual([...world.store.watched], ["pump"], "the second still watches");
  second.socket.terminate();
  await until(() => world.store.watched.size === 0);
  assert.equal(await metric(world, "tidewire_live_connections"), 1);
});

test("a watch that was given up before the store answered is not confirmed", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  let open = (): void => {};
  world.store.gate = new Promise((resolve) => (open = resolve));
  const viewer = await new Viewer(url, AS_ADMINISTRATOR).opened();
  viewer.say({ type: "watch", thing: "pump" });
  viewer.say({ type: "unwatch", thing: "pump" });
  await viewer.settled();
  open();
  await viewer.settled();
  assert.deepEqual([viewer.heard, world.store.watched.size], [[], 0]);
});

test("a store that is away is told as an error; when it is back, the viewer hears `watching`", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewer = await new Viewer(url, AS_ADMINISTRATOR).opened();
  world.store.failure = unavailable;
  viewer.say({ type: "watch", thing: "pump" });
  assert.equal((await viewer.next("error")).error.code, "STORE_UNAVAILABLE");
  world.store.rejoin("pump", 77);
  assert.deepEqual(await viewer.next("watching"), { type: "watching", thing: "pump", at: 77 });
});

test("fleet viewers hear presence and headlines; alerts reach everybody; unwatch-fleet ends it", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  world.registry.things.create("pump");
  const fleet = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const other = await new Viewer(url, AS_ADMINISTRATOR).opened();
  assert.equal(world.api.live.hasFleetViewers, false);
  fleet.say({ type: "watch-fleet" });
  await fleet.settled();
  assert.equal(world.api.live.hasFleetViewers, true);
  world.presence.connected("pump", "session-1", "192.0.2.1");
  await world.clock.run(2000);
  const { thing, presence } = await fleet.next("presence");
  assert.deepEqual([thing, presence.state], ["pump", "online"]);
  const value = { measurement: "system", field: "cpu.percent", value: 12, time: 5 };
  world.store.values.set("pump", [value]);
  await world.api.live.refreshHeadlines(["pump", "unknown"]);
  assert.deepEqual(await fleet.next("headline"), { type: "headline", thing: "pump", headline: [value] });
  world.reading("pump", { cpu: { percent: 99 } });
  await world.clock.run(2000);
  for (const viewer of [fleet, other]) {
    const { alert } = await viewer.next("alert");
    assert.deepEqual([alert.rule, alert.thing, alert.state], ["cpu_high", "pump", "active"]);
  }
  fleet.say({ type: "unwatch-fleet" });
  await fleet.settled();
  world.presence.disconnected("pump", "session-1", "CLIENT_INITIATED_DISCONNECT");
  await world.clock.run(2000);
  await Promise.all([fleet.settled(), other.settled()]);
  assert.deepEqual([fleet.heard, other.heard], [[], []]);
});

test("headlines: an absent store is no failure of the chore, anything else is, and one round waits for the other", async () => {
  await using world = await apiWorld();
  world.store.failure = unavailable;
  await world.api.live.refreshHeadlines(["pump"]);
  world.store.failure = new Error("broken");
  await assert.rejects(world.api.live.refreshHeadlines(["pump"]), /broken/);
  world.store.failure = null;
  await world.api.live.refreshHeadlines(["pump"]);
});

test("frames that are no request are answered with an error, and the connection goes on", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewer = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const frames = [
    "",
    "{",
    "null",
    "[]",
    '"watch"',
    '{"type":"dance"}',
    '{"type":"watch"}',
    '{"type":"watch","thing":"a/b"}',
    '{"type":"watch","thing":1}',
    '{"type":"ping","more":1}',
    `{"type":"watch","thing":"a","measurement":"${"x".repeat(300)}"}`,
    Buffer.from([0xff, 0xfe]),
  ];
  for (const frame of frames) {
    viewer.socket.send(frame);
    const { error } = await viewer.next("error");
    assert.equal(error.code, "REQUEST_INVALID", String(frame));
    assert.doesNotMatch(error.message, /\{\w+\}/);
  }
  await viewer.settled();
  assert.equal(world.store.watched.size, 0);
});

test("a frame beyond the limit ends the connection", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewer = await new Viewer(url, AS_ADMINISTRATOR).opened();
  viewer.socket.send("x".repeat(LIMITS.http.liveFrameBytesMax + 1));
  assert.equal((await viewer.closed).code, 1009);
  await until(async () => (await metric(world, "tidewire_live_connections")) === 0);
});

test("a mistake of ours in a live request says nothing about its inside", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewer = await new Viewer(url, AS_ADMINISTRATOR).opened();
  world.store.failure = new Error("cannot open /secret/path");
  viewer.say({ type: "watch", thing: "pump" });
  const { error } = await viewer.next("error");
  assert.equal(error.code, "INTERNAL");
  assert.doesNotMatch(error.message, /secret/);
});

test("too many watched things, and too many requests at once, end the connection with the reason", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const greedy = await new Viewer(url, AS_ADMINISTRATOR).opened();
  for (let i = 0; i <= LIMITS.http.liveSubscriptionsMax; i++) {
    greedy.say({ type: "watch", thing: `thing-${i}` });
    if (i % 20 === 19) await greedy.settled();
  }
  assert.deepEqual(await greedy.closed, { code: 1008, reason: "too many watched things" });
  assert.equal(world.store.watched.size, 0, "what it watched is let go");
  world.store.gate = new Promise(() => {});
  const flooding = await new Viewer(url, AS_ADMINISTRATOR).opened();
  for (let i = 0; i <= LIMITS.http.liveRequestsWaitingMax; i++) flooding.say({ type: "watch", thing: "pump" });
  assert.deepEqual(await flooding.closed, { code: 1008, reason: "too many requests at once" });
  assert.equal(await metric(world, `tidewire_live_cut_off_total{reason="too-many-things"}`), 1);
  assert.equal(await metric(world, `tidewire_live_cut_off_total{reason="flood"}`), 1);
});

test("one connection more than the limit is asked to come back later; those that are there stay", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewers = Array.from({ length: LIMITS.http.liveConnectionsMax }, () => new Viewer(url, AS_ADMINISTRATOR));
  await Promise.all(viewers.map((viewer) => viewer.opened()));
  const late = new Viewer(url, AS_ADMINISTRATOR);
  assert.deepEqual(await late.closed, { code: 1013, reason: "too many live connections" });
  await viewers[0]!.settled();
  viewers[0]!.socket.close();
  await viewers[0]!.closed;
  await (await new Viewer(url, AS_ADMINISTRATOR).opened()).settled();
});

test("a viewer that does not read is cut off at the limit; the others notice nothing", async () => {
  await using world = await apiWorld();
  const { url, httpPort } = await listen(world);
  const stalled = connect(httpPort, "127.0.0.1");
  stalled.on("error", () => {});
  stalled.write(
    `GET /api/live HTTP/1.1\r\nhost: 127.0.0.1:${httpPort}\r\nauthorization: Bearer ${TOKEN}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${Buffer.alloc(16).toString("base64")}\r\n\r\n`,
  );
  await once(stalled, "readable"); // the upgrade's answer; from here on it reads nothing
  stalled.write(maskedText('{"type":"watch","thing":"pump"}'));
  await until(() => world.store.watched.has("pump"));
  const reader = await new Viewer(url, AS_ADMINISTRATOR).opened();
  reader.say({ type: "watch", thing: "pump" });
  await reader.next("watching");
  const large = { ...points("pump"), series: [{ ...points("pump").series[0]!, values: ["x".repeat(500_000)] }] };
  let sent = 0;
  while ((await metric(world, `tidewire_live_cut_off_total{reason="slow"}`)) === 0) {
    assert.ok(sent++ < 100, "it is cut off after some megabytes");
    world.store.commit(large);
    await reader.next("points");
  }
  assert.equal(await metric(world, "tidewire_live_connections"), 1);
  stalled.destroy();
  await reader.settled();
});

/** RFC 6455 section 5.2: a final text frame, masked with zeros. */
function maskedText(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

test("a browser whose host vanished without closing is ended after two silent periods", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const there = await new Viewer(url, AS_ADMINISTRATOR).opened();
  const gone = await new Viewer(url, AS_ADMINISTRATOR, { autoPong: false }).opened();
  const pinged = once(there.socket, "ping");
  await world.clock.run(LIMITS.http.livePingPeriod);
  await pinged;
  await there.settled();
  await world.clock.run(LIMITS.http.livePingPeriod);
  assert.equal((await gone.closed).code, 1006);
  await there.settled();
  assert.equal(await metric(world, `tidewire_live_cut_off_total{reason="silent"}`), 1);
});

test("logging out ends the live connections of that session at once, and its end those that are left", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const [mine, yours] = [
    world.people.sessions.begin(null, "127.0.0.1", "").value,
    world.people.sessions.begin(null, "127.0.0.1", "").value,
  ];
  const first = await new Viewer(url, { cookie: `tw_session=${mine}` }).opened();
  const second = await new Viewer(url, { cookie: `tw_session=${yours}` }).opened();
  const token = await new Viewer(url, AS_ADMINISTRATOR).opened();
  assert.equal((await world.askAs({ cookie: `tw_session=${mine}` }, "DELETE", "/api/session")).status, 204);
  assert.deepEqual(await first.closed, { code: 1008, reason: "logged out" });
  await second.settled();
  world.clock.jump(LIMITS.http.sessionLifetime + 1);
  await world.clock.run(LIMITS.http.livePingPeriod);
  assert.deepEqual(await second.closed, { code: 1008, reason: "the session has ended" });
  await token.settled();
});

test("closing ends every viewer at once, also one that does not answer, and nothing listens afterwards", async () => {
  await using world = await apiWorld();
  const { url } = await listen(world);
  const viewers = await Promise.all([1, 2, 3].map(() => new Viewer(url, AS_ADMINISTRATOR).opened()));
  viewers[0]!.say({ type: "watch", thing: "pump" });
  await viewers[0]!.next("watching");
  viewers[1]!.socket.pause();
  const before = world.store.listeners;
  await world.api.close(); // simulated time stands still: nothing here may wait for a timer
  viewers[1]!.socket.resume();
  for (const viewer of viewers) assert.ok([1001, 1006].includes((await viewer.closed).code));
  assert.deepEqual([before, world.store.listeners], [2, 0]);
  await until(() => world.store.watched.size === 0);
});

/** Waits for something that follows from a closed socket: soon, but that is the machine's to say. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    if (await holds()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("never true");
}
