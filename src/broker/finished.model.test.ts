import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { CarefulClient } from "../../sim/careful-client.ts";
import { SimRandom } from "../../sim/world.ts";
import type { SessionNote } from "../wire/record/mod.ts";

/**
 * Subscribers that are never far behind, whatever their pace, and lose their connections; a broker that dies again and
 * again, and whose state is hardly ever saved. Queues hold a little more than the subscribers owe: none may overflow after a
 * crash, and whatever was acknowledged arrives, at QoS 2 once.
 */
const STEPS = 300;
const QUEUED_MAX = 40;
/** Nothing is published to who has so much to take. */
const OWED_MAX = 12;
/** A start may count those twice that came by a group, and gives them to others. */
const JOBS_MAX = 8;
const JOBS = "jobs";

interface Published {
  readonly payload: string;
  readonly topic: string;
  readonly qos: 1 | 2;
}

interface Subscriber {
  readonly client: CarefulClient;
  readonly granted: ReadonlyMap<string, 1 | 2>;
}

/** How notes are written, for those of a broker that is wrong. */
type Altered = (note: SessionNote) => SessionNote | null;

interface Story {
  readonly world: BrokerWorld;
  readonly random: SimRandom;
  readonly publisher: CarefulClient;
  readonly subscribers: readonly Subscriber[];
  readonly published: Published[];
  readonly altered: Altered | null;
  /** Of all lives. */
  overflows: number;
}

function missing({ published }: Story, { client, granted }: Subscriber): string[] {
  const got = new Set(client.got.map(({ payload }) => payload));
  return published.filter(({ payload, topic }) => granted.has(topic) && !got.has(payload)).map((m) => m.payload);
}

function publish(story: Story): void {
  const { published, publisher, random, subscribers } = story;
  if (subscribers.some((each) => missing(story, each).length >= OWED_MAX)) return;
  const jobs = published.filter(({ topic }) => topic === JOBS).length;
  const topic = random.chance(0.1) && jobs < JOBS_MAX ? JOBS : random.pick(["a", "b"]);
  const [payload, qos] = [`${published.length}`, random.pick([1, 1, 2] as const)];
  const before = publisher.publications.length;
  publisher.publish(topic, payload, qos);
  if (publisher.publications.length > before) published.push({ payload, topic, qos });
}

function alter({ world, altered }: Story): void {
  if (altered === null) return;
  const { journal } = world;
  const append = journal.appendNote.bind(journal);
  journal.appendNote = (note) => {
    const given = altered(note);
    return given === null ? journal.messages.length - 1 : append(given);
  };
}

async function crash(story: Story): Promise<void> {
  const { world, publisher, subscribers } = story;
  story.overflows += world.metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason: "queue-full" });
  for (const { client } of [...subscribers, { client: publisher }]) client.lost();
  await world.crashAndRestart();
  await publisher.connect();
}

async function step(story: Story): Promise<void> {
  const { world, random, subscribers } = story;
  const action = random.next();
  const { client } = random.pick(subscribers);
  if (action < 0.6) {
    for (let burst = random.below(6); burst > 0; burst--) publish(story);
    await world.run(random.below(3));
  } else if (action < 0.8) await world.run(random.below(20));
  else if (action < 0.83) client.cut();
  else if (action < 0.97) {
    client.answersAfter = random.pick([0, 0, 2, 10]);
    if (client.connection !== null) return;
    client.receiveMaximum = random.pick([2, 5, 100]);
    await client.connect();
  } else if (action < 0.98) await world.run(random.below(3_000)); // so that something is saved
  else await crash(story);
}

async function play(seed: number, altered: Altered | null = null): Promise<string[]> {
  const random = new SimRandom(seed);
  const limits = {
    routesCachedMax: 8,
    recentBytesMax: random.pick([512, 65_536]),
    queuedMessagesMax: QUEUED_MAX,
    deliveriesInflightMax: random.pick([3, 10]),
    stateSavePeriod: 10_000, // a fifth of it in the first minute
  };
  const world = await BrokerWorld.started({ seed, limits });
  const publisher = new CarefulClient(world, "pub");
  const subscribers = Array.from({ length: 3 }, (_, i): Subscriber => {
    const topics = random.chance(0.5) ? ["a"] : ["a", "b"];
    const granted = new Map(topics.map((topic) => [topic, random.pick([1, 2] as const)]));
    return { client: new CarefulClient(world, `s${i}`), granted };
  });
  const story = { world, random, publisher, subscribers, published: [], altered, overflows: 0 };
  alter(story);
  await publisher.connect();
  for (const { client, granted } of subscribers) {
    const connection = await client.connect();
    for (const [topic, qos] of granted) connection.subscribe(topic, { qos });
    connection.subscribe(`$share/g/${JOBS}`);
    await world.run();
  }
  for (let i = 0; i < STEPS; i++) await step(story);
  await crash(story);
  for (const { client } of subscribers) await client.connect();
  await world.run(1_000);
  return reckon(story);
}

/** What went wrong. */
function reckon(story: Story): string[] {
  const { world, published, publisher, subscribers } = story;
  const overflows = story.overflows + world.metrics.valueOr(0, "tidewire_mqtt_dropped_total", { reason: "queue-full" });
  const wrong = overflows === 0 ? [] : [`${overflows} were dropped although nobody was behind`];
  if (published.length < 50) wrong.push(`only ${published.length} were published`);
  if (publisher.publications.length > 0) wrong.push("not all were acknowledged");
  for (const subscriber of subscribers) {
    const { clientId, got } = subscriber.client;
    const lost = missing(story, subscriber);
    if (lost.length > 0) wrong.push(`${clientId} lost ${lost.join()}`);
    const once = got.filter(({ qos, topic }) => qos === 2 && topic !== JOBS).map(({ payload }) => payload);
    if (new Set(once).size < once.length) wrong.push(`${clientId} got something twice at QoS 2`);
    wrong.push(...subscriber.client.wrong);
  }
  const jobs = new Set(subscribers.flatMap(({ client }) => client.got.map(({ payload }) => payload)));
  for (const { payload, topic } of published) {
    if (topic === JOBS && !jobs.has(payload)) wrong.push(`nobody got job ${payload}`);
  }
  return wrong;
}

test("who was never behind loses nothing to a full queue, and nothing to a note, however often the broker dies", async () => {
  const from = Number(process.env["SEED"] ?? 1);
  const count = process.env["SEED"] === undefined ? 40 : Number(process.env["SEEDS"] ?? 1);
  for (let seed = from; seed < from + count; seed++) {
    assert.deepEqual(await play(seed), [], `replay with SEED=${seed} node --test src/broker/finished.model.test.ts`);
  }
});

const MUTATIONS: Readonly<Record<string, { readonly altered: Altered; readonly noticed: RegExp }>> = {
  "nothing is noted of how far clients have come": {
    altered: ({ finished, ...note }) =>
      finished !== null && note.released.length + note.received.length + note.sent.length === 0
        ? null
        : { ...note, finished: null },
    noticed: /were dropped although nobody was behind/,
  },
  "a note says one too many of the places in a queue": {
    altered: ({ finished, ...note }) => ({
      ...note,
      finished: finished === null ? null : { ...finished, place: finished.place + 1 },
    }),
    noticed: /lost/,
  },
  "a note says one too many of the offsets": {
    altered: ({ finished, ...note }) => ({
      ...note,
      finished: finished === null ? null : { ...finished, offset: finished.offset + 1 },
    }),
    noticed: /lost/,
  },
};

for (const [mutation, { altered, noticed }] of Object.entries(MUTATIONS)) {
  test(`it would be noticed that ${mutation}`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const wrong = await play(seed, altered);
      if (wrong.some((what) => noticed.test(what))) return;
    }
    assert.fail("sixty seeds, and nothing was noticed");
  });
}
