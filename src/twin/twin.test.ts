import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { encodeUtf8, hours, isTidewireError, seconds } from "../base/mod.ts";
import type { JsonObject } from "../base/mod.ts";
import { LOG_FULL, TwinWorld } from "./twin.fixture.ts";
import type { Heard } from "./twin.fixture.ts";

const SHADOW = "$aws/things/lamp/shadow";
const NAMED = `${SHADOW}/name/network`;
const KEY = { thing: "lamp", name: "" };

let world: TwinWorld;
let now: number;

beforeEach(() => {
  world = new TwinWorld();
  now = Math.floor(world.clock.now() / 1000);
});

afterEach(() => world.close());

/** `get/accepted`, and of a refusal its code and sentence. */
const brief = (heard: readonly Heard[]): readonly string[] =>
  heard.map(({ topic, body }) =>
    topic.endsWith("rejected") ? `${topic} ${body["code"] as number} ${body["message"] as string}` : topic,
  );

const versions = (heard: readonly Heard[], topic = "update/accepted"): readonly unknown[] =>
  heard.filter((one) => one.topic === topic).map(({ body }) => body["version"]);

describe("documents", () => {
  test("an update is answered as AWS does: accepted, delta, documents", async () => {
    const state = { desired: { on: true, mode: { speed: 3 } }, reported: { on: false } };
    const heard = await world.ask(`${SHADOW}/update`, { state, clientToken: "t" });
    const at = { timestamp: now };
    const metadata = { desired: { on: at, mode: { speed: at } }, reported: { on: at } };
    assert.deepEqual(heard, [
      { topic: "update/accepted", body: { state, metadata, version: 1, timestamp: now, clientToken: "t" } },
      {
        topic: "update/delta",
        body: {
          state: { on: true, mode: { speed: 3 } },
          metadata: { on: at, mode: { speed: at } },
          version: 1,
          timestamp: now,
          clientToken: "t",
        },
      },
      {
        topic: "update/documents",
        body: {
          previous: { state: {}, metadata: {}, version: 0 },
          current: { state, metadata, version: 1 },
          timestamp: now,
          clientToken: "t",
        },
      },
    ]);
  });

  test("accepted holds what was sent and no more; get holds all, with what differs", async () => {
    await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1, b: 2 } } });
    world.clock.advance(seconds(5));
    const [accepted] = await world.ask(`${SHADOW}/update`, {
      state: { reported: { a: 1 }, desired: { b: null, c: 3 } },
    });
    const later = { timestamp: now + 5 };
    assert.deepEqual(accepted?.body, {
      state: { reported: { a: 1 }, desired: { b: null, c: 3 } },
      metadata: { reported: { a: later }, desired: { c: later } },
      version: 2,
      timestamp: now + 5,
    });
    const [got] = await world.ask(`${SHADOW}/get`);
    assert.deepEqual(got?.body, {
      state: { desired: { a: 1, c: 3 }, reported: { a: 1 }, delta: { c: 3 } },
      metadata: { desired: { a: { timestamp: now }, c: later }, reported: { a: later }, delta: { c: later } },
      version: 2,
      timestamp: now + 5,
    });
  });

  test("without a difference there is no delta; where only desired is there, all of it differs", async () => {
    assert.deepEqual(brief(await world.ask(`${SHADOW}/update`, { state: { reported: { a: 1 } } })), [
      "update/accepted",
      "update/documents",
    ]);
    const [got] = await world.ask(`${SHADOW}/get`);
    assert.deepEqual(got?.body["state"], { reported: { a: 1 } });
    const heard = await world.ask(`${SHADOW}/update`, { state: { reported: null, desired: { a: 1 } } });
    assert.deepEqual(heard.find(({ topic }) => topic === "update/delta")?.body["state"], { a: 1 });
  });

  test("desired: null drops the section, and an update of nothing is one", async () => {
    await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1 }, reported: { b: 1 } } });
    await world.ask(`${SHADOW}/update`, { state: { desired: null } });
    await world.ask(`${SHADOW}/update`, { state: {} });
    const [got] = await world.ask(`${SHADOW}/get`);
    assert.deepEqual([got?.body["state"], got?.body["version"]], [{ reported: { b: 1 } }, 3]);
  });

  test("keys of the prototype and numbers beyond a double come back as they were sent, after a restart too", async () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"serial":12345678901234567890,"big":1e400}';
    world.send(`${SHADOW}/update`, `{"state":{"reported":${text}}}`);
    await world.sync();
    world.crash();
    world.send(`${SHADOW}/get`);
    await world.sync();
    const answer = new TextDecoder().decode(world.log.at(-1)!.payload);
    assert.ok(answer.startsWith(`{"state":{"reported":${text}},`), answer);
  });

  test("the classic and each named shadow are apart", async () => {
    world.update({ desired: { a: 1 } });
    world.update({ desired: { a: 2 } }, {}, { name: "network" });
    world.update({ desired: { a: 3 } }, {}, { name: "update" });
    await world.sync();
    world.heard();
    const [classic] = await world.ask(`${SHADOW}/get`);
    const [named] = await world.ask(`${NAMED}/get`);
    assert.deepEqual(
      [classic?.body["state"], named?.body["state"]],
      [
        { desired: { a: 1 }, delta: { a: 1 } },
        { desired: { a: 2 }, delta: { a: 2 } },
      ],
    );
    assert.deepEqual(world.twin.list("lamp", "", 1), { names: ["network"], next: "network" });
    assert.deepEqual(world.twin.list("lamp", "network", 1), { names: ["update"], next: null });
  });
});

describe("every state and every request", () => {
  type State = "no thing" | "absent" | "present" | "deleted" | "forgotten number";
  const expected: Readonly<Record<State, readonly [get: string, update: string, remove: string]>> = {
    "no thing": [
      "get/rejected 404 Thing not found",
      "update/rejected 404 Thing not found",
      "delete/rejected 404 Thing not found",
    ],
    absent: [
      "get/rejected 404 No shadow exists with name: lamp",
      "update/accepted 1",
      "delete/rejected 404 No shadow exists with name: lamp",
    ],
    present: ["get/accepted 1", "update/accepted 2", "delete/accepted 1"],
    deleted: [
      "get/rejected 404 No shadow exists with name: lamp",
      "update/accepted 2",
      "delete/rejected 404 No shadow exists with name: lamp",
    ],
    "forgotten number": [
      "get/rejected 404 No shadow exists with name: lamp",
      "update/accepted 1",
      "delete/rejected 404 No shadow exists with name: lamp",
    ],
  };

  const reach = async (state: State): Promise<void> => {
    if (state === "no thing") world.things.delete("lamp");
    if (state === "no thing" || state === "absent") return;
    await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1 } } });
    if (state === "present") return;
    await world.ask(`${SHADOW}/delete`);
    if (state === "forgotten number") world.clock.advance(hours(48));
  };

  for (const [state, answers] of Object.entries(expected) as [State, readonly string[]][]) {
    for (const [i, operation] of ["get", "update", "delete"].entries()) {
      for (const restarted of [false, true]) {
        test(`${state}${restarted ? ", after a restart" : ""}: ${operation} → ${answers[i]}`, async () => {
          await reach(state);
          if (restarted) world.crash();
          world.heard();
          const [answer] = await world.ask(`${SHADOW}/${operation}`, {
            state: { desired: { a: 1 } },
            clientToken: "tok",
          });
          const { code, message, version, clientToken } = answer!.body;
          const said = code === undefined ? `${version as number}` : `${code as number} ${message as string}`;
          assert.equal(`${answer!.topic} ${said}`, answers[i]);
          assert.equal(clientToken, "tok");
        });
      }
    }
  }

  test("a version that is not the shadow's is a conflict, in every state", async () => {
    const attempt = async (version: number): Promise<readonly string[]> =>
      brief(await world.ask(`${SHADOW}/update`, { state: { reported: {} }, version })).slice(0, 1);
    assert.deepEqual(await attempt(1), ["update/rejected 409 Version conflict"]);
    assert.deepEqual(await attempt(0), ["update/accepted"]);
    assert.deepEqual(await attempt(0), ["update/rejected 409 Version conflict"]);
    assert.deepEqual(await attempt(1), ["update/accepted"]);
    await world.ask(`${SHADOW}/delete`);
    assert.deepEqual(await attempt(0), ["update/rejected 409 Version conflict"]);
    assert.deepEqual(await attempt(2), ["update/accepted"]);
  });

  test("a shadow's name is 1 to 64 of AWS's characters, whatever else a topic may hold", async () => {
    for (const [name, answer] of [
      ["a".repeat(64), "update/accepted"],
      ["$a:_-", "update/accepted"],
      ["a".repeat(65), "update/rejected 400 Invalid shadow name"],
      ["ä", "update/rejected 400 Invalid shadow name"],
      ["a b", "update/rejected 400 Invalid shadow name"],
    ] as const) {
      const [first] = brief(await world.ask(`${SHADOW}/name/${name}/update`, { state: {} }));
      assert.equal(first, answer);
    }
  });
});

describe("limits", () => {
  test("the state may have 8 KiB as JSON, metadata apart; what is refused changes nothing", async () => {
    const fits = "x".repeat(8192 - JSON.stringify({ desired: { a: "" } }).length);
    assert.deepEqual(versions(await world.ask(`${SHADOW}/update`, { state: { desired: { a: fits } } })), [1]);
    const over = brief(await world.ask(`${SHADOW}/update`, { state: { reported: { b: 1 } }, clientToken: "t" }));
    assert.deepEqual(over, ["update/rejected 413 The payload exceeds the maximum size allowed"]);
    const [got] = await world.ask(`${SHADOW}/get`);
    assert.deepEqual([got?.body["version"], "reported" in ((got?.body["state"] ?? {}) as object)], [1, false]);
    assert.deepEqual(
      versions(await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1 }, reported: { b: 1 } } })),
      [2],
    );
  });

  test("more than ten requests of one connection on the way are refused, those of others are not", async () => {
    for (let i = 0; i < 12; i++) world.update({ reported: { i } }, { clientToken: `t${i}` });
    world.send(`${SHADOW}/get`, { clientToken: "other" }, "somebody");
    await world.sync();
    const heard = world.heard();
    assert.equal(versions(heard).length, 10);
    const refused = heard.filter(({ topic }) => topic === "update/rejected");
    assert.deepEqual(
      refused.map(({ body }) => [body["code"], body["clientToken"]]),
      [
        [429, "t10"],
        [429, "t11"],
      ],
    );
    assert.deepEqual(versions(heard, "get/accepted"), [10]);
    world.update({ reported: { i: 12 } });
    await world.sync();
    assert.deepEqual(versions(world.heard()), [11]);
  });

  test("hundreds of requests are worked off in turns, and the rest of the platform goes on between them", async () => {
    for (let i = 0; i < 200; i++) {
      world.things.add(`t${i}`);
      world.send(`$aws/things/t${i}/shadow/update`, { state: { reported: { i } } }, `t${i}`);
    }
    const before = world.clock.next();
    assert.ok(before !== null);
    await world.sync();
    assert.equal(versions(world.heard()).length, 200);
    assert.equal(world.store.count(), 200);
  });

  test("a device cannot make up names without end, not by deleting them either", async () => {
    world.close();
    world = new TwinWorld({ perThingMax: 3 });
    for (const name of ["a", "b", "c"]) await world.ask(`${SHADOW}/name/${name}/update`, { state: {} });
    await world.ask(`${SHADOW}/name/a/delete`);
    const fourth = brief(await world.ask(`${SHADOW}/name/d/update`, { state: {} }));
    assert.deepEqual(fourth, ["update/rejected 400 The thing has too many shadows"]);
    assert.deepEqual(versions(await world.ask(`${SHADOW}/name/a/update`, { state: {} })), [2]);
    world.clock.advance(hours(50)); // the number of a deleted one is remembered for 48 h
    await world.ask(`${SHADOW}/name/b/delete`);
    world.clock.advance(hours(50));
    assert.deepEqual(versions(await world.ask(`${SHADOW}/name/d/update`, { state: {} })), [1]);
  });
});

describe("nothing acknowledged is lost", () => {
  test("the process dies before an update is read: it is applied at the next start, once", async () => {
    world.update({ desired: { a: 1 } });
    world.durable = world.log.length; // its PUBACK is out
    world.crash();
    await world.catchUp();
    assert.deepEqual(brief(world.heard()), ["update/accepted", "update/delta", "update/documents"]);
    world.crash();
    await world.catchUp();
    assert.deepEqual(versions(world.heard()), [1]); // again: nobody had said that they are in the log
    assert.deepEqual(versions(await world.ask(`${SHADOW}/get`), "get/accepted"), [1]);
  });

  test("a power cut takes the last saves along: the log gives the same once more", async () => {
    await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1 } } });
    world.twin.checkpoint();
    const restore = world.snapshot();
    world.clock.advance(seconds(3));
    const first = await world.ask(`${SHADOW}/update`, { state: { reported: { a: 12345678901234567890n.toString() } } });
    const last = [...first, ...(await world.ask(`${SHADOW}/delete`, { clientToken: "t" }))];
    world.clock.advance(seconds(60));
    restore();
    world.heard();
    await world.catchUp();
    assert.deepEqual(world.heard(), last);
    assert.deepEqual(versions(await world.ask(`${SHADOW}/update`, { state: {} })), [3]);
  });

  test("it dies before the answers are on disk: they come again, and the update is not applied twice", async () => {
    world.update({ desired: { a: 1 } });
    const updateIsOnDisk = (world.durable = world.log.length);
    await world.catchUp().then(() => world.heard());
    world.crash(updateIsOnDisk);
    assert.deepEqual(brief(world.heard()), ["update/accepted", "update/delta", "update/documents"]);
    await world.catchUp();
    assert.deepEqual(versions(world.heard()), []);
    assert.deepEqual(world.twin.get(KEY).ok, true);
    assert.deepEqual(versions(await world.ask(`${SHADOW}/update`, { state: { reported: {} } })), [2]);
  });

  test("answers that are on disk are not given again after an orderly end", async () => {
    await world.ask(`${SHADOW}/update`, { state: { desired: { a: 1 } } });
    world.twin.close();
    world.crash();
    await world.catchUp();
    assert.deepEqual(world.heard(), []);
  });

  test("the shadows cannot be saved: nothing is answered, and the same batch is worked off later", async () => {
    world.fail = { save: new Error("disk full") };
    world.update({ desired: { a: 1 } });
    await assert.rejects(world.sync(), /disk full/);
    assert.deepEqual(world.heard(), []);
    assert.deepEqual(world.twin.get(KEY).ok, false);
    world.fail = {};
    await world.catchUp();
    assert.deepEqual(versions(world.heard()), [1]);
  });

  test("the log is full: what is done stays done, and its answers wait", async () => {
    world.update({ desired: { a: 1 } });
    world.fail = { publish: LOG_FULL };
    await assert.rejects(world.sync(), isTidewireError);
    assert.deepEqual(world.heard(), []);
    world.fail = {};
    await world.catchUp();
    assert.deepEqual(brief(world.heard()), ["update/accepted", "update/delta", "update/documents"]);
    assert.deepEqual(versions(await world.ask(`${SHADOW}/update`, { state: { reported: {} } })), [2]);
  });

  test("the log is full, and then the process dies: the answers come at the next start", async () => {
    world.update({ desired: { a: 1 } });
    world.fail = { publish: LOG_FULL };
    await assert.rejects(world.sync(), isTidewireError);
    world.crash();
    assert.deepEqual(brief(world.heard()), ["update/accepted", "update/delta", "update/documents"]);
  });

  test("the registry is away: an update for a shadow that is not there yet waits instead of being refused", async () => {
    world.fail = { registry: new Error("away") };
    world.update({ desired: { a: 1 } });
    await assert.rejects(world.sync(), /away/);
    world.fail = {};
    await world.catchUp();
    assert.deepEqual(versions(world.heard()), [1]);
  });

  test("a get that is read half a minute later is not answered: who asked has asked again", async () => {
    await world.ask(`${SHADOW}/update`, { state: { reported: { a: 1 } } });
    world.send(`${SHADOW}/get`);
    world.clock.advance(seconds(31));
    await world.sync();
    assert.deepEqual(world.heard(), []);
    assert.equal(world.metrics.value("tidewire_shadow_gets_too_late_total"), 1);
    world.send(`${SHADOW}/get`);
    world.clock.advance(seconds(29));
    await world.sync();
    assert.deepEqual(brief(world.heard()), ["get/accepted"]);
  });

  test("the log may forget what is saved for good, and no more", async () => {
    await world.ask(`${SHADOW}/update`, { state: { reported: { a: 1 } } });
    const before = world.twin.position;
    assert.ok(before > 0);
    assert.equal(world.twin.checkpoint(), before);
    await world.ask(`${SHADOW}/update`, { state: { reported: { a: 2 } } });
    world.fail = { save: new Error("disk full") };
    assert.equal(world.twin.checkpoint(), before);
    world.fail = {};
    assert.equal(world.twin.checkpoint(), world.twin.position);
  });
});

describe("over HTTP", () => {
  const body = (value: unknown): Uint8Array => encodeUtf8(JSON.stringify(value));

  test("an update goes through the log, is answered to its caller, and told to everybody else", async () => {
    const outcome = await world.told(world.twin.update(KEY, body({ state: { desired: { a: 1 } }, clientToken: "t" })));
    assert.ok(outcome.ok);
    assert.deepEqual(JSON.parse(outcome.body), {
      state: { desired: { a: 1 } },
      metadata: { desired: { a: { timestamp: now } } },
      version: 1,
      timestamp: now,
      clientToken: "t",
    });
    assert.deepEqual(brief(world.heard()), ["update/accepted", "update/delta", "update/documents"]);
    const got = world.twin.get(KEY);
    assert.ok(got.ok);
    assert.deepEqual((JSON.parse(got.body) as JsonObject)["version"], 1);
    const removed = await world.told(world.twin.delete(KEY));
    assert.ok(removed.ok);
    assert.deepEqual(JSON.parse(removed.body), { version: 1, timestamp: now });
    assert.deepEqual(brief(world.heard()), ["delete/accepted"]);
  });

  test("what is refused is told to its caller alone", async () => {
    const refused = async (outcome: unknown): Promise<unknown> => {
      const { code, message } = (await outcome) as { code: number; message: string };
      return `${code} ${message}`;
    };
    const { twin } = world;
    assert.equal(await refused(twin.update(KEY, body({ state: 1 }))), "400 State node must be an object");
    assert.equal(await refused(twin.update({ thing: "x", name: "" }, body({ state: {} }))), "404 Thing not found");
    assert.equal(
      await refused(twin.update({ thing: "lamp", name: "a b" }, body({ state: {} }))),
      "400 Invalid shadow name",
    );
    assert.equal(await refused(twin.get(KEY)), "404 No shadow exists with name: lamp");
    assert.equal(await refused(twin.get({ thing: "x", name: "" })), "404 Thing not found");
    assert.equal(await refused(twin.list("x", "", 1)), "404 Thing not found");
    assert.equal(await refused(world.told(twin.delete(KEY))), "404 No shadow exists with name: lamp");
    const stale = twin.update(KEY, body({ state: {}, version: 7 }));
    assert.equal(await refused(world.told(stale)), "409 Version conflict");
    assert.deepEqual(world.heard(), []);
  });

  test("the caller hears when the log takes nothing, or the answer is late; the update may come all the same", async () => {
    world.fail = { publish: LOG_FULL };
    await assert.rejects(world.twin.update(KEY, body({ state: {} })), LOG_FULL);
    world.fail = {};
    const late = assert.rejects(
      world.twin.update(KEY, body({ state: { reported: { a: 1 } } })),
      (error) => isTidewireError(error) && error.code === "SHADOW_UNANSWERED",
    );
    world.clock.advance(seconds(10));
    await late;
    await world.sync();
    assert.deepEqual(versions(world.heard()), [1]);
  });

  test("the caller hears when the platform stops", async () => {
    const stopped = assert.rejects(
      world.twin.delete(KEY),
      (error) => isTidewireError(error) && error.code === "SHADOW_UNANSWERED",
    );
    await Promise.resolve();
    world.twin.close();
    await stopped;
  });
});

describe("things that go", () => {
  beforeEach(async () => {
    world.update({ desired: { a: 1 } });
    world.update({ desired: { a: 1 } }, {}, { name: "network" });
    await world.sync();
    world.heard();
  });

  test("take their shadows along, their numbers too", async () => {
    world.things.delete("lamp");
    world.twin.forget("lamp");
    assert.equal(world.twin.get(KEY).ok, false); // at once
    assert.equal(world.store.count(), 0);
    assert.deepEqual(brief(await world.ask(`${SHADOW}/get`)), ["get/rejected 404 Thing not found"]);
    world.things.add("lamp");
    assert.deepEqual(versions(await world.ask(`${SHADOW}/update`, { state: {} })), [1]);
  });

  test("and do so at the next start where nobody could be told", async () => {
    world.things.delete("lamp");
    world.crash();
    world.clock.advance(1);
    assert.equal(world.store.count(), 0);
  });

  test("a registry that is away is no reason to remove anything", () => {
    world.things.delete("lamp");
    world.fail = { registry: new Error("away") };
    world.twin.start();
    world.clock.advance(1);
    assert.equal(world.store.count(), 2);
  });
});

test("who wants to know is told of every change, after it is saved", async () => {
  await world.ask(`${SHADOW}/update`, { state: { reported: { a: 1 } } });
  await world.ask(`${SHADOW}/update`, { state: 1 });
  await world.ask(`${SHADOW}/delete`);
  assert.deepEqual(
    world.changes.map(({ thing, name, version, sections }) => [
      thing,
      name,
      version,
      sections?.reported?.state ?? null,
    ]),
    [
      ["lamp", "", 1, { a: 1 }],
      ["lamp", "", 1, null],
    ],
  );
});
