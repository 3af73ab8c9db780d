import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { apiWorld } from "./api.fixture.ts";
import type { ApiWorld } from "./api.fixture.ts";
import type { DeadLetterPage, DeadLetterReceivers } from "./contract.ts";

let world: ApiWorld;
let receiver: Server;
let status = 404;
const bodies: string[] = [];

beforeEach(async () => {
  world = await apiWorld();
  [status, bodies.length] = [404, 0];
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      bodies.push(body);
      response.writeHead(status).end();
    });
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const headers = { authorization: "Bearer SECRET" };
  world.rules.put("hot", { sql: "SELECT n FROM 'a/#'", actions: [{ webhook: { url, headers } }] }, 0);
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
  receiver.close();
});

/** A message that its receiver refuses. */
async function refused(offset: number): Promise<void> {
  const payload = Buffer.from(`{"n":${offset}}`);
  const message = { topic: "a/b", payload, qos: 1, retain: false, clientId: "c", thing: null, receivedAt: 0 } as const;
  const known = world.rules.dead.list({ limit: 100 }).length;
  world.rules.handle(offset, { ...message, properties: null });
  world.clock.advance(0);
  while (world.rules.dead.list({ limit: 100 }).length === known) await new Promise((resolve) => setImmediate(resolve));
}

interface Letter {
  readonly number: number;
}

const post = (verb: string, body: object) => world.ask("POST", `/api/dead-letters/${verb}`, body);

test("dead letters are listed in pages, shown, corrected and sent again, and no secret is among it", async () => {
  for (const n of [0, 1, 2]) await refused(n);
  const first = (await world.ask("GET", "/api/dead-letters?limit=2&rule=hot")).json as {
    letters: Letter[];
    next: number;
  };
  assert.deepEqual([first.letters.map(({ number }) => number), first.next], [[3, 2], 2]);
  const rest = (await world.ask("GET", `/api/dead-letters?before=${first.next}`)).json as {
    letters: Letter[];
    next: null;
  };
  assert.deepEqual([rest.letters.map(({ number }) => number), rest.next], [[1], null]);
  const { letters } = (await world.ask("GET", "/api/dead-letters")).json as DeadLetterPage;
  assert.deepEqual(
    letters.map(({ preview, things }) => [preview, things]),
    [2, 1, 0].map((n) => [`{"n":${n}}`, ["c"]]),
  );
  const { receivers } = (await world.ask("GET", "/api/dead-letters/receivers")).json as DeadLetterReceivers;
  const [group] = receivers;
  assert.deepEqual([receivers.length, group!.kind, group!.count], [1, "webhook", 3]);
  assert.equal(group!.receiver, letters[0]!.receiver);
  const shown = await world.ask("GET", "/api/dead-letters/3");
  const { body, fields, lastError, kind } = shown.json as Record<string, unknown>;
  assert.deepEqual(
    [body, fields, lastError, kind],
    ['{"n":2}', { "content-type": "application/json" }, "HTTP 404", "webhook"],
  );
  assert.doesNotMatch(shown.text, /SECRET/);
  const changed = await world.ask("PATCH", "/api/dead-letters/3", { body: '{"n":200}' });
  assert.equal((changed.json as { body: string }).body, '{"n":200}');
  status = 200;
  assert.deepEqual((await post("replay", { number: 3 })).json, { replayed: 1, more: false });
  world.clock.advance(0);
  while (bodies.length < 4) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(bodies[3], '{"n":200}');
});

test("bytes that are no text come and go in base64", async () => {
  await refused(0);
  const bodyBase64 = Buffer.from([0xff, 0, 1]).toString("base64");
  const changed = await world.ask("PATCH", "/api/dead-letters/1", { bodyBase64, fields: { "content-type": "x/y" } });
  const { body, bodyBase64: shown, fields } = changed.json as Record<string, unknown>;
  assert.deepEqual([body, shown, fields], [undefined, bodyBase64, { "content-type": "x/y" }]);
  const [letter] = ((await world.ask("GET", "/api/dead-letters")).json as DeadLetterPage).letters;
  assert.deepEqual([letter!.preview, letter!.bodyBytes], [null, 3]);
});

test("a long body is listed by its beginning, whole characters only", async () => {
  await refused(0);
  await world.ask("PATCH", "/api/dead-letters/1", { body: "ü€".repeat(1000) });
  const [letter] = ((await world.ask("GET", "/api/dead-letters")).json as DeadLetterPage).letters;
  assert.equal(letter!.preview, `${"ü€".repeat(150)}…`);
});

test("headers are shown as those of rules are, and stay as they are where what was shown comes back", async () => {
  await refused(0);
  const fields = { "content-type": "a/b", "x-key": "hunter2" };
  const shown = await world.ask("PATCH", "/api/dead-letters/1", { fields });
  assert.deepEqual((shown.json as { fields: object }).fields, { "content-type": "a/b", "x-key": "***" });
  await world.ask("PATCH", "/api/dead-letters/1", { fields: { "content-type": "c/d", "x-key": "***" } });
  assert.deepEqual(world.rules.dead.get(1).fields, { "content-type": "c/d", "x-key": "hunter2" });
});

test("nothing is sent again or dropped by accident; one that is not there is told", async () => {
  for (const n of [0, 1]) await refused(n);
  for (const verb of ["replay", "drop"]) {
    assert.equal((await post(verb, {})).status, 400);
    assert.equal((await post(verb, { number: 99 })).status, 404);
  }
  assert.equal((await world.ask("GET", "/api/dead-letters/99")).status, 404);
  assert.equal((await world.ask("PATCH", "/api/dead-letters/1", { body: "x".repeat(70_000) })).status, 400);
  assert.deepEqual((await post("drop", { rule: "nobody" })).json, { dropped: 0, more: false });
  assert.deepEqual((await post("drop", { all: true })).json, { dropped: 2, more: false });
  assert.deepEqual(world.rules.dead.list({ limit: 9 }), []);
});
