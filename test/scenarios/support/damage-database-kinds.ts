/** The databases of platform and agent: registry, broker, rules, shadows, outbox. */
import { join } from "node:path";
import { SqliteBrokerState } from "../../../src/adapters/sqlite/broker-state.ts";
import { openOutboxStore } from "../../../src/adapters/sqlite/outbox-store.ts";
import { openRegistry } from "../../../src/adapters/sqlite/registry-store.ts";
import { SqliteShadowStore } from "../../../src/adapters/sqlite/shadow-store.ts";
import { sealingWith } from "../../../src/adapters/sealing.ts";
import { SqliteRulesStore } from "../../../src/adapters/sqlite/rules-store.ts";
import { alertOf } from "../../../src/rules/alerts/alert.fixture.ts";
import { TidewireError } from "../../../src/base/mod.ts";
import { NOW, crashed, range } from "./damage-kind.ts";
import type { Kind } from "./damage-kind.ts";

function fillRegistry(path: string): ReturnType<typeof openRegistry> {
  const opened = openRegistry(path);
  const { store, presence } = opened;
  const times = { createdAt: NOW, updatedAt: NOW };
  store.transaction(() => {
    store.policies.addVersion("p", '{"Statement":[]}', NOW);
    const typed = { thingTypeId: "id", description: null, searchableAttributes: [], deprecatedAt: null };
    store.types.save({ thingTypeName: "pump", ...typed, ...times });
    for (const n of range(120)) {
      const thingName = `thing-${n}`;
      const certificateId = n.toString(16).padStart(64, "a");
      store.things.save({
        thingName,
        thingId: `id-${n}`,
        thingTypeName: "pump",
        billingGroupName: null,
        attributes: { site: `s${n}` },
        version: 1,
        ...times,
      });
      const names = { CommonName: [thingName] };
      const facts = { serialNumber: String(n), subject: names, issuer: names, notBefore: NOW, notAfter: NOW + 1 };
      store.certificates.save({
        certificateId,
        status: "ACTIVE",
        pem: `pem ${"y".repeat(700)}`,
        caCertificateId: null,
        certificateMode: "DEFAULT",
        version: 1,
        generationId: "generation",
        ...facts,
        ...times,
      });
      store.things.attach({ thingName, certificateId, type: "EXCLUSIVE_THING" });
      store.policies.attach("p", `cert/${certificateId}`);
    }
  });
  presence.save(
    range(120).map((n) => ({
      thing: `thing-${n}`,
      online: n % 2 === 0,
      lastSeenAt: NOW + n,
      disconnectReason: null,
      remoteAddress: null,
    })),
  );
  return opened;
}

const registry: Kind = {
  name: "registry.db",
  make: (folder) => Promise.resolve(fillRegistry(join(folder, "registry.db")).close()),
  ask(folder, logger) {
    const opened = openRegistry(join(folder, "registry.db"), logger);
    const { store, presence } = opened;
    try {
      const things = store.things.list({}, { after: null, limit: 1_000 });
      const slice = { after: null, limit: 1_000, descending: false };
      return Promise.resolve({
        things,
        byType: store.things.count({ thingTypeName: "pump" }),
        bySite: range(120).map((n) => store.things.count({ attributeName: "site", attributeValue: `s${n}` })),
        certificates: store.certificates
          .list({}, slice)
          .map(({ certificateId }) => [
            store.certificates.find(certificateId),
            store.things.ofCertificate(certificateId),
            store.policies.applyingTo(certificateId),
          ]),
        principals: things.map(({ thingName }) => store.things.attachmentsOf(thingName)),
        presence: presence.load(),
      });
    } finally {
      opened.close();
    }
  },
};

function fillBroker(path: string): SqliteBrokerState {
  const state = new SqliteBrokerState(path);
  const subscription = {
    filter: "a/#",
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    identifier: 0,
    since: 1,
  } as const;
  const session = {
    expirySeconds: 100,
    disconnectedAt: NOW,
    versionNumber: 5,
    since: 1,
    will: null,
    thing: null,
    leftGroup: false,
  };
  void state.saveSessions(
    range(150).map((n) => ({
      clientId: `client-${n}`,
      reset: false,
      session: { clientId: `client-${n}`, ...session },
      subscriptions: [["a/#", subscription]],
    })),
  );
  void state.saveProgress({
    appliedOffset: 4_711,
    outboxes: range(150).map((n) => ({
      clientId: `client-${n}`,
      head: 0,
      tail: 8,
      sentBefore: 0,
      bytes: 80,
      applied: 9,
      chunks: [{ first: 0, slots: Float64Array.from(range(16)), identifiers: [] }],
    })),
    exchanges: range(50).map((n) => ({
      clientId: `client-${n}`,
      received: [1, 2],
      sent: [0, 7],
      released: [9],
      done: [],
    })),
  });
  const retained = range(150).map((n) => ({
    topic: `a/${n}/b`,
    frame: Buffer.alloc(100 + n, n),
    offset: n,
    clientId: "c",
    receivedAt: NOW,
    expiresAt: n % 3 === 0 ? NOW : null,
  }));
  void state.retained.save(retained, { messages: 1e6, bytes: 1e9 });
  return state;
}

const broker: Kind = {
  name: "broker.db",
  make: (folder) => Promise.resolve(fillBroker(join(folder, "broker.db")).close()),
  async ask(folder, logger) {
    const state = new SqliteBrokerState(join(folder, "broker.db"), logger);
    try {
      const { appliedOffset, sessions } = await state.load();
      const stored: unknown[] = [];
      for await (const some of sessions) {
        for (const session of some) {
          const queued = await state.queued(session.clientId, 0, 100);
          stored.push(
            session,
            queued.map(({ first, slots, identifiers }) => [first, [...slots], identifiers]),
          );
        }
      }
      const { found } = await state.retained.page("a/#", null, 1_000);
      const byOffset = await Promise.all(range(150).map(async (n) => (await state.retained.at(n))?.topic));
      return { appliedOffset, stored, found, byOffset };
    } finally {
      state.close();
    }
  },
};

const sealing = sealingWith(new Uint8Array(32));

function fillRules(path: string): SqliteRulesStore {
  const store = new SqliteRulesStore({ path, sealing });
  for (const n of range(20)) store.putRule({ ruleName: `r${n}`, sql: "SELECT * FROM 'a/#'", actions: [] } as never);
  const deliveries = range(100).map((n) => ({
    id: `d-${n}`,
    receiver: "webhook a",
    rule: "r1",
    things: [],
    fields: { a: "b" },
    origin: null,
    body: Buffer.alloc(120, n),
    offset: n,
    createdAt: NOW + n,
    attempts: 0,
    nextAttemptAt: NOW + n,
    lastError: null,
  }));
  const receivers = [{ key: "webhook a", carrier: "webhook", label: "http://a", settings: { url: "http://a/" } }];
  const alerts = range(60).map((n) => ({
    alert: alertOf({ id: `a-${n}`, rule: "r1" }),
    lastOffset: n,
    clearSince: null,
    more: null,
  }));
  const windows = [
    {
      rule: "a",
      snapshot: { header: new TextEncoder().encode("header"), pages: [[0, new TextEncoder().encode("page")]] },
      replaces: true,
      staged: [],
    },
  ] as const;
  const batch = { checkpoint: 99, receivers, deliveries, done: [], dead: [], alerts, alertRows: [], windows };
  store.save({ ...batch, toldUntil: NOW, owed: [] }, true);
  return store;
}

const rules: Kind = {
  name: "rules.db",
  make: (folder) => Promise.resolve(fillRules(join(folder, "rules.db")).close()),
  ask(folder, logger) {
    const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing, logger });
    try {
      return Promise.resolve({
        ...store.load(),
        due: store.due("webhook a", NOW + 1e6, 1_000),
        next: store.nextDue("webhook a"),
        dead: store.deadLetters({ limit: 10 }),
      });
    } finally {
      store.close();
    }
  },
};

function fillShadows(path: string): SqliteShadowStore {
  const store = new SqliteShadowStore({ path });
  const shadows = range(200).map((n) => ({
    thing: `t${n % 40}`,
    name: n < 40 ? "" : `n${n}`,
    version: n + 1,
    text: n % 10 === 9 ? null : JSON.stringify({ state: { desired: { n, text: "x".repeat(80) } }, metadata: {} }),
    changedAt: NOW + n,
  }));
  const answers = range(20).map((n) => ({
    topic: `$aws/things/t${n}/shadow/get/accepted`,
    payload: "{}",
    until: null,
  }));
  store.save({ position: 500, shadows, answers, answered: -1 }, true);
  return store;
}

const shadows: Kind = {
  name: "shadows.db",
  make: (folder) => Promise.resolve(fillShadows(join(folder, "shadows.db")).close()),
  ask(folder, logger) {
    const store = new SqliteShadowStore({ path: join(folder, "shadows.db"), logger });
    try {
      const things = store.things("", 1_000);
      const names = things.flatMap((thing) =>
        ["", ...store.named(thing, "", 100)].map((name) => [thing, name] as const),
      );
      return Promise.resolve({
        position: store.position(),
        count: store.count(),
        waiting: store.waiting(),
        things: things.map((thing) => [thing, store.countOf(thing)]),
        shadows: names.map(([thing, name]) => store.shadow(thing, name)),
      });
    } finally {
      store.close();
    }
  },
};

const OUTBOX = { outbox: "abc", lastSequence: 200, count: 200, bytes: 1, dropped: 0, expired: 0, refused: 0 };

const outbox: Kind = {
  name: "agent's outbox.db",
  make(folder) {
    const opened = openOutboxStore(join(folder, "outbox.db"), 1);
    const { store } = opened;
    const put = range(200).map((n) => ({
      sequence: n + 1,
      topic: "t",
      payload: Buffer.alloc(60, n),
      priority: n % 3,
      acceptedAt: NOW,
      expiresAt: n % 2 === 0 ? NOW + n : null,
    }));
    store.commit({
      state: OUTBOX,
      put,
      remove: [],
      bury: [{ sequence: 1, reasonCode: 0x87, at: 5 }],
      deadLettersMax: 10,
    });
    return Promise.resolve(opened.close());
  },
  ask(folder, logger) {
    const opened = openOutboxStore(join(folder, "outbox.db"), 1, logger);
    const { store, movedAside } = opened;
    try {
      if (movedAside !== null)
        throw new TidewireError("DATABASE_DAMAGED", { name: "outbox", path: movedAside, reason: "moved aside" });
      return Promise.resolve({
        state: store.load(),
        readings: store.read(0, 1_000, 1e9),
        dead: store.deadLetters(10),
        less: store.expendable(1_000),
        old: store.expired(NOW + 1e6, 1_000),
      });
    } finally {
      opened.close();
    }
  },
};

export const DATABASE_KINDS: readonly Kind[] = [
  registry,
  crashed(registry, "registry.db", fillRegistry),
  broker,
  crashed(broker, "broker.db", fillBroker),
  rules,
  crashed(rules, "rules.db", fillRules),
  shadows,
  crashed(shadows, "shadows.db", fillShadows),
  outbox,
];
