import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { createKeyAndCsr } from "../../adapters/pki/mod.ts";
import { openProvisioningFile } from "../../adapters/sqlite/provisioning-store.ts";
import type { OpenProvisioningFile } from "../../adapters/sqlite/provisioning-store.ts";
import { systemClock, systemRandom, systemScheduler } from "../../adapters/system.ts";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import type { RegistrationTask } from "../../identity/mod.ts";
import { apiWorld } from "../api/api.fixture.ts";
import type { ApiWorld } from "../api/api.fixture.ts";
import { openProvisioning } from "./open-provisioning.ts";

const BODY = JSON.stringify({
  Parameters: { ThingName: { Type: "String" }, CSR: { Type: "String" } },
  Resources: {
    thing: { Type: "AWS::IoT::Thing", Properties: { ThingName: { Ref: "ThingName" } } },
    certificate: {
      Type: "AWS::IoT::Certificate",
      Properties: { CertificateSigningRequest: { Ref: "CSR" }, Status: "ACTIVE" },
    },
    policy: { Type: "AWS::IoT::Policy", Properties: { PolicyName: "tidewire-default" } },
  },
});
const INPUT = {
  templateBody: BODY,
  inputFileBucket: "factory",
  inputFileKey: "batch/1.jsonl",
  roleArn: "arn:aws:iam::0:role/any",
};

/** Provisioning with a folder of its own that outlives it, on the world's registry. */
class TaskWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "registration-"));
  readonly world: ApiWorld;
  provisioning: ReturnType<typeof openProvisioning>;

  file!: OpenProvisioningFile;

  private constructor(world: ApiWorld) {
    this.world = world;
    this.provisioning = this.#open();
  }

  static async open(): Promise<TaskWorld> {
    return new TaskWorld(await apiWorld());
  }

  #open(): ReturnType<typeof openProvisioning> {
    const { registry, authority } = this.world;
    this.file = openProvisioningFile({ path: join(this.folder, "provisioning.db") });
    return openProvisioning({
      store: this.file.store,
      folder: this.folder,
      hmac: (text) => `signed ${text}`,
      registry,
      authority,
      clock: systemClock,
      scheduler: systemScheduler,
      random: systemRandom,
      logger: new SimLogger(),
      metrics: new SimMetrics(),
    });
  }

  get tasks() {
    return this.provisioning.registration.tasks;
  }

  write(lines: readonly string[], key = INPUT.inputFileKey): void {
    const path = join(this.folder, "buckets/factory", key);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  }

  async ended(taskId: string): Promise<RegistrationTask> {
    for (;;) {
      const task = this.tasks.describe(taskId);
      if (task.status !== "InProgress" && task.status !== "Cancelling") return task;
      await setImmediate();
    }
  }

  entries(taskId: string, type: "RESULTS" | "ERRORS") {
    const text = [...this.provisioning.registration.reports.parts(taskId, type)].join("");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Entry);
  }

  certificatesOf(thing: string): readonly string[] {
    return this.world.registry.things.principalsOf(thing).map(({ certificateId }) => certificateId);
  }

  /** `between` sees the database that the next start will find. */
  async restart(between: (store: OpenProvisioningFile["store"]) => void = () => {}): Promise<void> {
    await this.provisioning.close();
    between(this.file.store);
    this.file.close();
    this.provisioning = this.#open();
    this.tasks.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.provisioning.close();
    this.file.close();
    await this.world[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

interface Entry {
  readonly lineNumber: number;
  readonly response?: { readonly certificatePem: string; readonly resourceArns: Readonly<Record<string, string>> };
  readonly error?: { readonly code: string; readonly message: string };
}

const lineOf = async (ThingName: string): Promise<string> =>
  JSON.stringify({ ThingName, CSR: (await createKeyAndCsr("any")).csrPem });
const linesOf = (names: readonly string[]): Promise<string[]> => Promise.all(names.map(lineOf));
const hasCode = (code: string) => (error: unknown) => isTidewireError(error) && error.code === code;

describe("a registration task", () => {
  test("makes a device of each line; what cannot be made stands in the report of errors", async () => {
    await using here = await TaskWorld.open();
    const [first, last] = await linesOf(["pump-1", "pump-5"]);
    const hostile = [JSON.stringify({ ThingName: "pump-2", CSR: "no" }), "{", "", JSON.stringify({ ThingName: 7 })];
    here.write([first!, ...hostile, last!, "x".repeat(LIMITS.provisioning.requestBytesMax + 1)]);
    const taskId = here.tasks.start(INPUT);
    const { status, succeeded, failed, message } = await here.ended(taskId);
    assert.deepEqual([status, succeeded, failed, message], ["Completed", 2, 4, null]);
    const results = here.entries(taskId, "RESULTS");
    assert.deepEqual(
      results.map(({ lineNumber, response }) => [lineNumber, response!.resourceArns["thing"]]),
      [
        [1, "arn:aws:iot:local:000000000000:thing/pump-1"],
        [6, "arn:aws:iot:local:000000000000:thing/pump-5"],
      ],
    );
    assert.match(results[0]!.response!.certificatePem, /BEGIN CERTIFICATE/);
    assert.equal(here.certificatesOf("pump-1").length, 1);
    assert.deepEqual(
      here.entries(taskId, "ERRORS").map(({ lineNumber, error }) => [lineNumber, error!.code]),
      [
        [2, "InvalidCertificateSigningRequest"],
        [3, "InvalidPayload"],
        [5, "InvalidPayload"],
        [7, "InvalidPayload"],
      ],
    );
    assert.equal(here.world.registry.things.find("pump-2"), undefined);
  });

  test("goes on after a restart where it stood, and makes no certificate twice", async () => {
    await using here = await TaskWorld.open();
    const names = Array.from({ length: 60 }, (_, n) => `pump-${n}`);
    here.write(await linesOf(names));
    const taskId = here.tasks.start(INPUT);
    while (here.tasks.describe(taskId).succeeded < 10) await setImmediate();
    await here.restart((store) => {
      assert.equal(store.registrationTask(taskId)!.status, "InProgress");
      const { succeeded } = store.countRegistrationLines(taskId);
      assert.ok(succeeded >= 10 && succeeded < 60, `${succeeded} were done`);
    });
    const { status, succeeded, failed } = await here.ended(taskId);
    assert.deepEqual([status, succeeded, failed], ["Completed", 60, 0]);
    for (const name of names) assert.equal(here.certificatesOf(name).length, 1, name);
  });

  test("killed between a certificate and its note: what is in the registry is done, the rest is made", async () => {
    await using here = await TaskWorld.open();
    here.write(await linesOf(["a", "b"]));
    const taskId = here.tasks.start(INPUT);
    await here.ended(taskId);
    const [made] = here.certificatesOf("a");
    await here.restart((store) => {
      store.saveRegistrationTask({ ...store.registrationTask(taskId)!, status: "InProgress" });
      const planned = { outcome: "planned", code: null, reason: null } as const;
      store.saveRegistrationLine(taskId, { ...planned, line: 1, thing: "a", certificateId: made! });
      store.saveRegistrationLine(taskId, { ...planned, line: 2, thing: "b", certificateId: "0".repeat(64) });
    });
    const { status, succeeded } = await here.ended(taskId);
    assert.deepEqual([status, succeeded], ["Completed", 2]);
    assert.deepEqual(here.certificatesOf("a"), [made]);
    assert.equal(here.certificatesOf("b").length, 2, "its note said nothing of the first");
  });

  test("is stopped: what was under way is finished, nothing else is begun, and it stays so", async () => {
    await using here = await TaskWorld.open();
    here.write(await linesOf(Array.from({ length: 60 }, (_, n) => `pump-${n}`)));
    const taskId = here.tasks.start(INPUT);
    const waiting = here.tasks.start(INPUT);
    while (here.tasks.describe(taskId).succeeded < 5) await setImmediate();
    here.tasks.stop(waiting);
    here.tasks.stop(taskId);
    assert.equal(here.tasks.describe(taskId).status, "Cancelling");
    const { status, succeeded } = await here.ended(taskId);
    assert.equal(status, "Cancelled");
    assert.ok(succeeded < 60);
    assert.equal(here.entries(taskId, "RESULTS").length, succeeded);
    assert.equal((await here.ended(waiting)).succeeded, 0);
    await here.restart();
    assert.equal(here.tasks.describe(taskId).status, "Cancelled");
    assert.deepEqual(here.tasks.list("InProgress"), []);
    assert.deepEqual(
      here.tasks
        .list("Cancelled")
        .map((task) => task.taskId)
        .toSorted(),
      [taskId, waiting].toSorted(),
    );
  });

  test("fails, and says why: no such bucket or file, or another file after a restart", async () => {
    await using here = await TaskWorld.open();
    const missing = await here.ended(here.tasks.start(INPUT));
    assert.deepEqual([missing.status, missing.message], ["Failed", "There is no bucket named 'factory'."]);
    here.write(await linesOf(["a"]));
    const other = await here.ended(here.tasks.start({ ...INPUT, inputFileKey: "batch/2.jsonl" }));
    assert.match(other.message!, /no object named 'factory\/batch\/2\.jsonl'/);
    const taskId = here.tasks.start(INPUT);
    await here.ended(taskId);
    here.write(await linesOf(["a", "b"]));
    await here.restart((store) =>
      store.saveRegistrationTask({ ...store.registrationTask(taskId)!, status: "InProgress" }),
    );
    const { status, message } = await here.ended(taskId);
    assert.deepEqual([status, message], ["Failed", "The input file has changed since the task began"]);
  });

  test("is refused for a template that is none, for names that lead elsewhere, and when too many wait", async () => {
    await using here = await TaskWorld.open();
    assert.throws(() => here.tasks.start({ ...INPUT, templateBody: "{" }), hasCode("REQUEST_INVALID"));
    for (const inputFileKey of ["../provisioning.db", "a/../../secrets/ca.key", "/etc/passwd", "a//b"]) {
      const { status, message } = await here.ended(here.tasks.start({ ...INPUT, inputFileKey }));
      assert.deepEqual([status, message?.includes("are names of letters")], ["Failed", true], inputFileKey);
    }
    for (let n = 0; n < LIMITS.provisioning.registrationTasksUnfinishedMax; n++) here.tasks.start(INPUT);
    assert.throws(() => here.tasks.start(INPUT), hasCode("TOO_MANY_REQUESTS"));
    assert.throws(() => here.tasks.describe("nobody"), hasCode("NOT_FOUND"));
  });

  test("the link to a report is good for one report of one task, and for a while", async () => {
    await using here = await TaskWorld.open();
    const { reports } = here.provisioning.registration;
    const taskId = here.tasks.start(INPUT);
    const query = new URL(reports.link(taskId, "RESULTS"), "http://any").searchParams;
    const [expires, signature] = [Number(query.get("expires")), query.get("signature")!];
    reports.check(taskId, "RESULTS", expires, signature);
    const unauthorized = hasCode("UNAUTHORIZED");
    assert.throws(() => reports.check(taskId, "ERRORS", expires, signature), unauthorized);
    assert.throws(() => reports.check("another", "RESULTS", expires, signature), unauthorized);
    assert.throws(() => reports.check(taskId, "RESULTS", expires + 1, signature), unauthorized);
    const past = systemClock.now() - 1;
    assert.throws(
      () => reports.check(taskId, "RESULTS", past, `signed registration report ${taskId} RESULTS ${past}`),
      unauthorized,
    );
    await here.ended(taskId);
  });
});
