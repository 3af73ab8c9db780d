/** What provisioning promises over any store; every adapter of its ports runs it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type {
  BulkStore,
  EnrolmentCodeStore,
  JoinCodeRecord,
  JoinCodeStore,
  ProvisioningStore,
  RegistrationLine,
  RegistrationTask,
  RegistrationTaskStore,
  DepartureStore,
  TemplateRecord,
} from "./ports.ts";

type Stores = ProvisioningStore &
  JoinCodeStore &
  EnrolmentCodeStore &
  DepartureStore &
  BulkStore &
  RegistrationTaskStore;

export interface ProvisioningStoreUnderTest {
  readonly store: Stores;
  /** Closes and opens the same data again, as a restart does. */
  reopen(): Stores | Promise<Stores>;
  close(): void | Promise<void>;
}

/** Of a tenant that nobody else has; with a name, of that one in the same database. */
export type OpenProvisioningStore = (
  tenant?: string,
) => ProvisioningStoreUnderTest | Promise<ProvisioningStoreUnderTest>;

const NOW = 1_900_000_000_000;

const template = (name: string, defaultVersion = 1): TemplateRecord => ({
  name,
  type: "FLEET_PROVISIONING",
  description: "Pumpen – „groß“",
  enabled: name !== "off",
  hook: name === "t" ? "https://hook" : null,
  roleArn: null,
  defaultVersion,
  createdAt: NOW,
  updatedAt: NOW + 1,
});

const code = (secretHash: string, expiresAt: number): JoinCodeRecord => ({
  secretHash,
  offer: { kind: "template", template: "t", parameters: { site: "Köln" } },
  usesLeft: 3,
  createdAt: NOW,
  expiresAt,
  joined: [{ keyHash: "k", thing: "pump", certificateId: "c" }],
});

const task = (taskId: string, createdAt: number): RegistrationTask => ({
  taskId,
  templateBody: "{}",
  inputFileBucket: "b",
  inputFileKey: "k",
  roleArn: "r",
  status: "InProgress",
  message: null,
  createdAt,
  updatedAt: createdAt,
  inputBytes: null,
  bytesRead: 0,
  succeeded: 0,
  failed: 0,
});

const line = (number: number, outcome: RegistrationLine["outcome"]): RegistrationLine => ({
  line: number,
  outcome,
  thing: `thing-${number}`,
  certificateId: null,
  code: null,
  reason: null,
});

export function provisioningStoreContract(adapter: string, open: OpenProvisioningStore): void {
  describe(`provisioning over ${adapter}`, () => {
    claimsContract(open);
    tasksContract(open);

    test("templates and their versions come back, by name, a page at a time", async () => {
      const under = await open();
      const { store: first } = under;
      first.saveTemplate(template("t"), { version: 1, body: "one", createdAt: NOW });
      first.saveTemplate(template("t", 2), { version: 2, body: "two", createdAt: NOW + 1 });
      for (const name of ["off", "z"]) first.saveTemplate(template(name), { version: 1, body: "b", createdAt: NOW });
      const store = await under.reopen();
      assert.deepEqual(store.template("t"), template("t", 2));
      assert.deepEqual(store.versions("t"), [
        { version: 1, body: "one", createdAt: NOW },
        { version: 2, body: "two", createdAt: NOW + 1 },
      ]);
      assert.deepEqual(store.templates(null, 2), [template("off"), template("t", 2)]);
      assert.deepEqual(store.templates("t", 2), [template("z")]);
      store.removeVersion("t", 1);
      assert.deepEqual(
        store.versions("t").map(({ version }) => version),
        [2],
      );
      store.removeTemplate("t");
      assert.deepEqual([store.template("t"), store.versions("t"), store.countTemplates()], [null, [], 2]);
      await under.close();
    });

    test("join codes come back whole; those that end next come first, and those that are over go", async () => {
      const under = await open();
      for (const [hash, end] of [
        ["late", NOW + 9],
        ["soon", NOW + 1],
        ["over", NOW],
      ] as const)
        under.store.saveJoinCode(code(hash, end));
      under.store.saveJoinCode({ ...code("late", NOW + 9), usesLeft: 0 });
      const store = await under.reopen();
      assert.deepEqual(store.joinCode("soon"), code("soon", NOW + 1));
      store.removeExpiredJoinCodes(NOW);
      assert.deepEqual(
        store.joinCodes(5).map(({ secretHash, usesLeft }) => [secretHash, usesLeft]),
        [
          ["soon", 3],
          ["late", 0],
        ],
      );
      store.removeJoinCode("soon");
      assert.deepEqual([store.joinCode("soon"), store.countJoinCodes()], [null, 1]);
      await under.close();
    });

    test("an enrolment code is its thing's only one, is removed once, and goes when it is over", async () => {
      const under = await open();
      under.store.saveEnrolmentCode({ thing: "a", codeHash: "h1", expiresAt: NOW });
      under.store.saveEnrolmentCode({ thing: "a", codeHash: "h2", expiresAt: NOW + 1 });
      under.store.saveEnrolmentCode({ thing: "b", codeHash: "h3", expiresAt: NOW });
      const store = await under.reopen();
      assert.deepEqual(store.enrolmentCode("a"), { thing: "a", codeHash: "h2", expiresAt: NOW + 1 });
      store.removeEnrolmentCodes(NOW);
      assert.deepEqual([store.enrolmentCode("b"), store.countEnrolmentCodes()], [null, 1]);
      assert.deepEqual(
        ["h1", "h2", "h2"].map((hash) => store.removeEnrolmentCode("a", hash)),
        [false, true, false],
      );
      await under.close();
    });

    test("a thing that leaves is in no code and no record any more; what is others' stays", async () => {
      const under = await open();
      const { store } = under;
      const ofThing = (thing: string): JoinCodeRecord => ({
        ...code(`of ${thing}`, NOW + 1),
        offer: { kind: "thing", thing },
        joined: [{ keyHash: "k", thing, certificateId: "c" }],
      });
      for (const one of [ofThing("pump"), ofThing("pump-2"), code("of template", NOW + 1)]) store.saveJoinCode(one);
      for (const thing of ["pump", "pump-2"]) {
        store.saveEnrolmentCode({ thing, codeHash: "h", expiresAt: NOW });
        for (let n = 0; n < 7; n++) {
          const device = { requestHash: "r", certificateId: "c", deviceConfiguration: {}, at: NOW };
          store.saveBulkDevice({ ...device, keyHash: `${thing} ${n}`.replace(" ", "/"), thing });
          for (const task of ["a", "b"])
            store.saveRegistrationLine(task, { ...line(thing === "pump" ? n : 10 + n, "done"), thing });
        }
      }
      assert.equal(store.removeCodesOf("pump"), 2);
      assert.deepEqual(
        store
          .joinCodes(9)
          .map(({ secretHash, joined }) => [secretHash, joined.length])
          .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
        [
          ["of pump-2", 1],
          ["of template", 0],
        ],
      );
      assert.deepEqual([store.enrolmentCode("pump"), store.enrolmentCode("pump-2")?.codeHash], [null, "h"]);
      let removed = 0;
      let pages = 0;
      for (let after: string | null = ""; after !== null; pages++) {
        const page = store.removeRecordsOf("pump", after, 5);
        removed += page.removed;
        after = page.upTo;
      }
      assert.deepEqual([removed, pages], [7 + 14, 3 + 6]);
      assert.deepEqual([store.bulkDevice("pump/0"), store.bulkDevice("pump-2/0")?.thing], [null, "pump-2"]);
      for (const task of ["a", "b"]) {
        const things = store.registrationLines(task, "done", -1, 99).map(({ thing }) => thing);
        assert.deepEqual(things, [
          ...Array.from({ length: 7 }, () => null),
          ...Array.from({ length: 7 }, () => "pump-2"),
        ]);
      }
      await under.close();
    });

    test("retirements that others are to follow, and names that are not given again", async () => {
      const under = await open();
      const retirement = { thing: "b", eraseData: true, blockName: false, startedAt: NOW };
      under.store.saveRetirement(retirement);
      under.store.saveRetirement({ ...retirement, thing: "a", blockName: true });
      under.store.blockName("a", NOW);
      under.store.blockName("a", NOW + 1);
      const store = await under.reopen();
      assert.deepEqual(
        store.retirements().map(({ thing, blockName }) => [thing, blockName]),
        [
          ["a", true],
          ["b", false],
        ],
      );
      store.removeRetirement("a");
      assert.deepEqual(store.retirements(), [retirement]);
      assert.deepEqual([store.isBlocked("a"), store.isBlocked("b")], [true, false]);
      assert.deepEqual([store.freeName("a"), store.freeName("a"), store.isBlocked("a")], [true, false, false]);
      await under.close();
    });

    test("all or nothing, also where single changes are within; nothing of another tenant", async () => {
      const mine = await open("mine");
      mine.store.saveJoinCode(code("h", NOW + 1));
      mine.store.saveTemplate(template("t"));
      await mine.close();
      const theirs = await open("theirs");
      assert.throws(() =>
        theirs.store.atomically(() => {
          theirs.store.saveTemplate(template("t"), { version: 1, body: "b", createdAt: NOW });
          theirs.store.saveJoinCode({ ...code("h", NOW + 1), usesLeft: 99 });
          theirs.store.atomically(() => theirs.store.blockName("n", 1));
          throw new Error("changed my mind");
        }),
      );
      const { store } = theirs;
      assert.deepEqual([store.template("t"), store.joinCode("h"), store.isBlocked("n")], [null, null, false]);
      store.removeTemplate("t");
      store.removeExpiredJoinCodes(NOW + 9);
      await theirs.close();
      const again = await open("mine");
      assert.deepEqual([again.store.template("t"), again.store.joinCode("h")], [template("t"), code("h", NOW + 1)]);
      await again.close();
    });
  });
}

function claimsContract(open: OpenProvisioningStore): void {
  test("tokens and claims come back, are counted, and are found when they are over", async () => {
    const under = await open();
    const token = (n: number) => ({
      tokenHash: `h${n}`,
      certificateId: `c${n}`,
      claimId: n < 3 ? "claim" : "other",
      clientId: "cl",
      expiresAt: NOW - n,
    });
    const claim = (n: number) => ({ certificateId: `c${n}`, template: "t", expiresAt: NOW - n });
    under.store.atomically(() => {
      for (const n of [1, 2, 3]) {
        under.store.saveToken(token(n));
        under.store.saveClaim(claim(n));
      }
    });
    const store = await under.reopen();
    assert.deepEqual([store.token("h1"), store.token("no"), store.claim("c2")], [token(1), null, claim(2)]);
    assert.equal(store.countTokens("claim"), 2);
    assert.deepEqual(store.expiredTokens(NOW - 1, 2), [token(3), token(2)]);
    assert.deepEqual(store.expiredClaims(NOW - 2, 9), [claim(3), claim(2)]);
    store.removeToken("h1");
    store.removeClaim("c1");
    assert.deepEqual([store.token("h1"), store.claim("c1"), store.countTokens("claim")], [null, null, 1]);
    await under.close();
  });

  test("a device of a bulk file is remembered by its key, and forgotten when it is old", async () => {
    const under = await open();
    const record = (n: number) => ({
      keyHash: `k${n}`,
      requestHash: "r",
      certificateId: `c${n}`,
      thing: "t",
      deviceConfiguration: { a: "1" },
      at: NOW + n,
    });
    for (const n of [1, 2, 3, 4]) under.store.saveBulkDevice(record(n));
    const store = await under.reopen();
    assert.deepEqual([store.bulkDevice("k1"), store.bulkDevice("no")], [record(1), null]);
    assert.equal(store.removeBulkDevices(NOW + 4, 2), 2);
    assert.equal(store.removeBulkDevices(NOW + 4, 2), 1);
    assert.deepEqual(
      [1, 2, 3, 4].filter((n) => store.bulkDevice(`k${n}`) !== null),
      [4],
    );
    await under.close();
  });
}

function tasksContract(open: OpenProvisioningStore): void {
  test("registration tasks, the newest first, with what became of their lines", async () => {
    const under = await open();
    const { store: first } = under;
    for (const [id, at] of [
      ["a", NOW],
      ["b", NOW + 1],
      ["c", NOW + 1],
    ] as const)
      first.saveRegistrationTask(task(id, at));
    first.saveRegistrationTask({ ...task("a", NOW), status: "Completed" });
    for (const n of [1, 2, 3]) first.saveRegistrationLine("a", line(n, "planned"));
    for (const n of [1, 3]) first.saveRegistrationLine("a", line(n, "done"));
    first.saveRegistrationLine("a", line(2, "failed"));
    first.saveRegistrationLine("b", line(1, "done"));
    const store = await under.reopen();
    assert.deepEqual(
      store.registrationTasks().map(({ taskId, status }) => [taskId, status]),
      [
        ["c", "InProgress"],
        ["b", "InProgress"],
        ["a", "Completed"],
      ],
    );
    assert.deepEqual(store.registrationTask("b"), task("b", NOW + 1));
    assert.deepEqual(store.registrationLine("a", 2), line(2, "failed"));
    assert.deepEqual(store.registrationLines("a", "done", 1, 9), [line(3, "done")]);
    assert.deepEqual(store.countRegistrationLines("a"), { succeeded: 2, failed: 1 });
    assert.deepEqual([store.removeRegistrationLines("a", 2), store.removeRegistrationLines("a", 2)], [2, 1]);
    store.removeRegistrationTask("a");
    assert.deepEqual([store.registrationTask("a"), store.registrationLine("b", 1)], [null, line(1, "done")]);
    await under.close();
  });

  test("a task is taken, again by whoever has it, and left", async () => {
    const under = await open();
    assert.deepEqual([under.store.mayWorkOn("a"), under.store.mayWorkOn("a")], [true, true]);
    under.store.leaveWorkOn("a");
    under.store.leaveWorkOn("a");
    assert.equal(under.store.mayWorkOn("a"), true);
    await under.close();
  });
}
