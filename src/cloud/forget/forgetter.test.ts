/** Things leave over real stores; whoever sees to it is killed around every part, and the next start ends it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemScheduler } from "../../adapters/system.ts";
import { DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import { passwordKey } from "../../registry/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import { PasswordUses } from "../logins/mod.ts";
import { FORGET_PARTS } from "./book.ts";
import { PlayedBroker, PlayedPoints, openForgetter } from "./forgetter.fixture.ts";
import type { ForgetReport, Forgetter } from "./forgetter.ts";
import type { OwnPart, Steps } from "./steps.ts";

const OWN = FORGET_PARTS.filter((part): part is OwnPart => part !== "telemetry" && part !== "archive");
let world: ApiWorld;
let broker: PlayedBroker;
const points = new Set<string>();

before(async () => {
  world = await apiWorld();
  broker = new PlayedBroker();
  const sql = "SELECT avg(n) AS n, thing() AS t FROM 'telemetry/+/system' GROUP BY thing(), TUMBLE(1h)";
  await world.ask("POST", "/rules/hourly", { sql, actions: [{ alert: { severity: "info", summary: "x" } }] });
  world.provisioningStore.saveRegistrationTask({
    taskId: "task",
    templateBody: "{}",
    inputFileBucket: "b",
    inputFileKey: "k",
    roleArn: "r",
    status: "Completed",
    message: null,
    createdAt: 1,
    updatedAt: 1,
    inputBytes: null,
    bytesRead: 0,
    succeeded: 0,
    failed: 0,
  });
});

after(() => world[Symbol.asyncDispose]());

/** All that there can be of a thing. */
async function settle(thing: string, n: number): Promise<string> {
  const { registry, presence, provisioning, provisioningStore } = world;
  const { certificatePem, facts } = await world.authority.createDeviceKeyAndCertificate(thing);
  const { certificateId } = registry.certificates.register(certificatePem, facts);
  registry.things.create(thing, { attributes: { site: "oslo" } });
  registry.things.attach(thing, certificateId);
  if (registry.groups.find("all") === undefined) registry.groups.create("all");
  registry.groups.add("all", thing);
  registry.passwords.set(thing, "hash");
  registry.policies.attach(DEFAULT_POLICY_NAME, passwordKey(thing));
  provisioning.joining.codes.create({ offer: { kind: "thing", thing } });
  const template = { kind: "template", template: "t", parameters: {} } as const;
  const came = { secretHash: `template-${n}`, offer: template, usesLeft: 2, createdAt: 1, expiresAt: 9e15 };
  provisioningStore.saveJoinCode({ ...came, joined: [{ keyHash: "k", thing, certificateId }] });
  provisioningStore.saveEnrolmentCode({ thing, codeHash: "h", expiresAt: 9e15 });
  const bulk = { keyHash: `key-${n}`, requestHash: "r", certificateId, thing, deviceConfiguration: {}, at: 1 };
  provisioningStore.saveBulkDevice(bulk);
  const line = { line: n, outcome: "done", thing, certificateId, code: null, reason: null } as const;
  provisioningStore.saveRegistrationLine("task", line);
  assert.equal((await world.ask("POST", `/things/${thing}/shadow`, { state: { desired: { a: 1 } } })).status, 200);
  presence.connected(thing, `c-${n}`, "192.0.2.1");
  presence.disconnected(thing, `c-${n}`, "CLIENT_ERROR");
  presence.flush();
  world.reading(thing, { cpu: { percent: 99 }, n: 1 });
  broker.sessions.add(thing);
  broker.retained.add(thing);
  points.add(thing);
  return certificateId;
}

function open(path: string, between?: (steps: Steps) => Steps, shared = false): Promise<Forgetter> {
  const { registry, presence, rules, shadows, provisioningStore: departures, clock } = world;
  return openForgetter({
    path: join(world.folder, path),
    registry,
    presence,
    rules,
    shadows,
    departures,
    clock,
    broker,
    store: new PlayedPoints(points),
    passwordUses: new PasswordUses(clock),
    scheduler: systemScheduler,
    shared,
    ...(between === undefined ? {} : { between }),
  });
}

async function ended(forgetter: Forgetter, id: number): Promise<ForgetReport> {
  for (let turn = 0; ; turn++) {
    const report = await forgetter.report(id);
    if (report.state === "done") return report;
    assert.equal(report.reason, null);
    assert.ok(turn < 100_000, `still to come: ${report.missing.join(", ")}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Files and their tables that still say the name, in any row. */
function traces(thing: string): readonly string[] {
  return readdirSync(world.folder)
    .filter((name) => name.endsWith(".db"))
    .flatMap((name) => {
      const database = new DatabaseSync(join(world.folder, name), { readOnly: true });
      try {
        const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
        return tables.flatMap(({ name: table }) => {
          const rows = database.prepare(`SELECT * FROM "${String(table)}"`).all();
          const told = rows.some((row) => Object.values(row).some((value) => textOf(value).includes(thing)));
          return told ? [`${name}: ${String(table)}`] : [];
        });
      } finally {
        database.close();
      }
    });
}

function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}

/** Revoked certificates are known, with their subject. */
const CERTIFICATE = "registry.db: certificates";

class Killed extends Error {}

/** From the part on nothing is done any more: killed before it, or before the book knows that it is done. */
function killedAt(part: OwnPart, when: "before" | "behind"): (steps: Steps) => Steps {
  let dead = false;
  return (steps) => {
    const dying = OWN.map((each) => {
      const step: Steps[OwnPart] = async (entry) => {
        if (dead || (each === part && when === "before")) {
          dead = true;
          throw new Killed();
        }
        const removed = await steps[each](entry);
        if (each !== part) return removed;
        dead = true;
        throw new Killed();
      };
      return [each, step] as const;
    });
    return { ...(Object.fromEntries(dying) as Record<OwnPart, Steps[OwnPart]>), stop: () => steps.stop() };
  };
}

const PLANS = [
  {
    name: "retired, data kept, name free",
    begin: (forgetter: Forgetter, thing: string) => forgetter.retire(thing, { eraseData: false, blockName: false }),
    left: [CERTIFICATE, "rules.db: alerts"],
    next: "free",
  },
  {
    name: "retired, data erased, name blocked",
    begin: (forgetter: Forgetter, thing: string) => forgetter.retire(thing, { eraseData: true, blockName: true }),
    left: ["provisioning.db: blocked_names", CERTIFICATE],
    next: "blocked",
  },
  {
    name: "forgotten with its registration",
    begin: (forgetter: Forgetter, thing: string) => forgetter.forget(thing, { withRegistration: true }),
    left: [CERTIFICATE],
    next: "free",
  },
] as const;

type Plan = (typeof PLANS)[number];

async function killedOnce(
  { begin, left, next }: Plan,
  n: number,
  part: OwnPart,
  when: "before" | "behind",
): Promise<void> {
  const at = `killed ${when} ${part}`;
  const thing = `leaver-${n}-x`; // none is the beginning of another
  const certificateId = await settle(thing, n);
  const path = `forgotten-${n}.json`;
  const dying = await open(path, killedAt(part, when));
  await dying.start();
  const begun = await begin(dying, thing);
  assert.notEqual(begun.state, "done", at);
  await dying.close();
  const following = await open(path);
  await following.start();
  const report = await ended(following, begun.id);
  await following.close();
  assert.deepEqual([report.missing, report.name], [[], next], at);
  assert.equal(world.registry.certificates.describe(certificateId).status, "REVOKED", at);
  assert.deepEqual(traces(thing), left, at);
  assert.equal(world.presence.of(thing).state, "never");
  assert.deepEqual(world.rules.alerts.list({ thing, state: "active", limit: 9 }), []);
  const kept = report.data === "kept";
  assert.equal(world.rules.alerts.list({ thing, state: "all", limit: 9 }).length, kept ? 1 : 0);
  assert.deepEqual([broker.sessions.has(thing), broker.retained.has(thing)], [false, false]);
  assert.equal(points.has(thing), kept, at);
  if (next === "free") assert.equal(world.registry.things.create(thing).created, true);
  else assert.throws(() => world.registry.things.create(thing), /not given again/);
}

let count = 0;
for (const plan of PLANS) {
  test(`${plan.name}: killed around any part, the next start ends it, and nothing is left but what is told`, async () => {
    const deaths = OWN.flatMap((part) => (["before", "behind"] as const).map((when) => ({ part, when })));
    await Promise.all(deaths.map(({ part, when }) => killedOnce(plan, ++count, part, when))); // each with a book of its own
    const { joined } = world.provisioningStore.joinCode(`template-${count}`)!;
    assert.deepEqual(joined, [], "the code lets others in still");
    assert.equal(world.provisioningStore.registrationLines("task", "done", 0, 1_000).length, count);
  });
}

test("the name is not given again before all is done; a certificate that stands for others, too, is only let go", async () => {
  const certificateId = await settle("shared-a", ++count);
  world.registry.things.create("shared-b");
  world.registry.things.attach("shared-b", certificateId);
  const forgetter = await open("shared.json", killedAt("registration", "behind"));
  await forgetter.start();
  const report = await forgetter.retire("shared-a", { eraseData: false, blockName: false });
  assert.deepEqual([report.name, report.state, report.removed["certificatesRevoked"]], ["leaving", "waiting", 0]);
  assert.equal(world.registry.things.find("shared-a"), undefined);
  assert.throws(() => world.registry.things.create("shared-a"), /has not left yet/);
  assert.equal(world.registry.certificates.describe(certificateId).status, "ACTIVE");
  await forgetter.close();
});

test("one that stays is forgotten: what it said goes, what it is stays", async () => {
  const certificateId = await settle("stays", ++count);
  const forgetter = await open("stays.json");
  await forgetter.start();
  const { id } = await forgetter.forget("stays", { withRegistration: false });
  const report = await ended(forgetter, id);
  assert.deepEqual([report.name, report.data, report.removed["points"]], ["own", "erased", 1]);
  assert.equal(world.registry.certificates.describe(certificateId).status, "ACTIVE");
  assert.ok(!traces("stays").some((where) => /^(?:rules|shadows)/.test(where)));
  assert.notEqual(world.registry.passwords.find("stays"), undefined);
  await forgetter.close();
});

test("DeleteThing takes along what goes by the name, and what it said stays", async () => {
  const forgetter = await open("deleted.json");
  const certificateId = await settle("deleted", ++count);
  assert.throws(() => forgetter.delete("deleted"), /1 certificate/);
  world.registry.things.detach("deleted", certificateId);
  assert.throws(() => forgetter.delete("deleted", 7), /version/);
  assert.equal(world.provisioningStore.enrolmentCode("deleted")?.codeHash, "h", "nothing was begun");
  assert.equal(forgetter.delete("deleted"), true);
  assert.equal(forgetter.delete("deleted"), false);
  const records = ["provisioning.db: bulk_devices", "provisioning.db: registration_lines"];
  assert.deepEqual(traces("deleted"), [...records, CERTIFICATE, "rules.db: alerts"]);
  assert.ok(points.has("deleted"));
});

test("what one platform begins, the others on the same database do with what they have", async () => {
  await settle("everywhere", ++count);
  const first = await open("first.json", undefined, true);
  await first.start();
  const begun = await first.retire("everywhere", { eraseData: true, blockName: false });
  await ended(first, begun.id);
  assert.equal(world.registry.things.create("everywhere").created, true, "its name is another's by now");
  for (const has of [broker.sessions, broker.retained, points]) has.add("everywhere");
  const other = await open("other.json", undefined, true);
  await other.start();
  const report = await ended(other, 1);
  assert.deepEqual([report.thing, report.requestedAt, report.data], ["everywhere", begun.requestedAt, "erased"]);
  assert.ok(![broker.sessions, broker.retained, points].some((has) => has.has("everywhere")));
  assert.notEqual(world.registry.things.find("everywhere"), undefined);
  await other.follow();
  await first.follow();
  const lists = await Promise.all([first, other].map((one) => one.list({ limit: 10 })));
  assert.deepEqual(
    lists.map(({ things }) => things.length),
    [1, 1],
  );
  for (const one of [first, other]) await one.close();
});
