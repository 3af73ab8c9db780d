/**
 * AWS IoT's registration tasks: a file with a line per device, provisioned one after the other by the template that came with
 * the task. What became of each line is kept, so that a task that was interrupted goes on where it stood, and a certificate
 * that was made for a line is not made twice.
 */
import { LIMITS, TidewireError, isRetryable, isTidewireError, reasonOf, seconds } from "../../base/mod.ts";
import type { Cancel, Clock, Counter, Logger, Metrics, Random, Scheduler } from "../../base/mod.ts";
import { parsePolicy } from "../policy-document.ts";
import type {
  DeviceRegistry,
  RegistrationInput,
  RegistrationLine,
  RegistrationTask,
  RegistrationTaskStatus,
  RegistrationTaskStore,
} from "./ports.ts";
import type { Provisioner } from "./provisioner.ts";
import { ProvisioningRefusal } from "./refusal.ts";
import { registrationLines } from "./registration-lines.ts";
import type { RegistrationInputLine } from "./registration-lines.ts";
import { parseTemplateBody } from "./template-body.ts";
import type { TemplateBody } from "./template-body.ts";
import { Together } from "./together.ts";

export interface RegistrationTasksOptions {
  readonly store: RegistrationTaskStore;
  readonly provisioner: Pick<Provisioner, "provision">;
  readonly registry: Pick<DeviceRegistry, "certificate">;
  /** Rejects with `TidewireError`: retryable ones are tried again. */
  readonly open: (bucket: string, key: string) => Promise<RegistrationInput>;
  /** Waits for a place among all that is signed in bulk. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "after" | "defer">;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface NewRegistrationTask {
  readonly templateBody: string;
  readonly inputFileBucket: string;
  readonly inputFileKey: string;
  readonly roleArn: string;
}

/** What the task cannot go on with, in words for its `message`. */
class TaskFault extends Error {}

/** Lines that are looked through in one turn of the event loop. */
const LINES_PER_TURN = 200;
const REMOVED_AT_ONCE = 1_000;
const DELAYS = [1, 5, 15, 60].map(seconds);
/** After which it is looked whether another platform still works on tasks. */
const LOOK_AGAIN_AFTER = seconds(30);

export class RegistrationTasks {
  readonly #o: RegistrationTasksOptions;
  readonly #lines: Together;
  readonly #done: Counter;
  readonly #failed: Counter;
  /** The one that is worked on, as it stands. */
  #current: RegistrationTask | null = null;
  #working: Promise<void> | null = null;
  #closed = false;
  /** Ends the wait for another platform. */
  #look: Cancel = () => {};
  #wake: (() => void) | null = null;

  constructor(options: RegistrationTasksOptions) {
    this.#o = options;
    const { store, scheduler, metrics } = options;
    this.#lines = new Together((work) => store.atomically(work), scheduler);
    const counter = (outcome: string): Counter =>
      metrics.counter({
        name: "tidewire_registration_task_lines_total",
        help: "Lines of registration tasks, by what became of their device",
        labels: { outcome },
      });
    this.#done = counter("done");
    this.#failed = counter("failed");
  }

  /** Goes on with what an earlier run has left. */
  resume(): void {
    this.#work();
  }

  /** Returns the task's id. Throws REQUEST_INVALID, TOO_MANY_REQUESTS. */
  start({ templateBody, inputFileBucket, inputFileKey, roleArn }: NewRegistrationTask): string {
    const { store, clock, random } = this.#o;
    parseTemplateBody(templateBody, "FLEET_PROVISIONING", parsePolicy);
    const tasks = store.registrationTasks();
    if (tasks.filter(isUnfinished).length >= LIMITS.provisioning.registrationTasksUnfinishedMax)
      throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "1 min" });
    this.#forgetOldest(tasks);
    const now = clock.now();
    const taskId = uuidOf(random.bytes(16));
    const counts = { succeeded: 0, failed: 0, bytesRead: 0, inputBytes: null };
    const task = { taskId, templateBody, inputFileBucket, inputFileKey, roleArn, createdAt: now, updatedAt: now };
    store.saveRegistrationTask({ ...task, ...counts, status: "InProgress", message: null });
    this.#work();
    return taskId;
  }

  /** Devices that are being provisioned are finished. Throws NOT_FOUND; one that is over stays as it is. */
  stop(taskId: string): void {
    const { store } = this.#o;
    const task = this.describe(taskId);
    if (task.status !== "InProgress") return;
    const isCurrent = this.#current?.taskId === taskId;
    const isFree = !isCurrent && store.mayWorkOn(taskId);
    // Who works on it, here or elsewhere, finishes what is under way.
    this.#save({ ...task, status: isFree ? "Cancelled" : "Cancelling" });
    if (isFree) store.leaveWorkOn(taskId);
    this.#wake?.();
  }

  /** Throws NOT_FOUND. */
  describe(taskId: string): RegistrationTask {
    if (this.#current?.taskId === taskId) return this.#current;
    const task = this.#o.store.registrationTask(taskId);
    if (task === null) throw new TidewireError("NOT_FOUND", { kind: "registration task", name: taskId });
    return task;
  }

  /** The newest first. */
  list(status?: RegistrationTaskStatus): readonly RegistrationTask[] {
    const tasks = this.#o.store
      .registrationTasks()
      .map((task) => (task.taskId === this.#current?.taskId ? this.#current : task));
    return status === undefined ? tasks : tasks.filter((task) => task.status === status);
  }

  /** What became of its lines, in their order, behind `after`. Throws NOT_FOUND. */
  report(taskId: string, outcome: "done" | "failed", after: number, limit: number): readonly RegistrationLine[] {
    this.describe(taskId);
    return this.#o.store.registrationLines(taskId, outcome, after, limit);
  }

  /** Resolves when nothing is written any more; what is left goes on with the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#look();
    this.#wake?.();
    await this.#working;
  }

  // ── one task after the other ─────────────────────────────────────────────────────────────────

  #work(): void {
    this.#working ??= this.#workOnce();
  }

  async #workOnce(): Promise<void> {
    let stands = false;
    try {
      await this.#workAll();
    } catch (error) {
      // The database takes nothing: the next task that is started tries again, or who looks in a while.
      stands = true;
      this.#o.logger.error("Registration tasks stand still.", { reason: reasonOf(error) });
      if (!this.#closed) this.#lookAgain();
    }
    this.#working = null;
    if (!stands && this.#isMore()) this.#work(); // it was started while the last one ended
  }

  #isMore(): boolean {
    try {
      return this.#next() !== undefined;
    } catch {
      this.#lookAgain(); // the database is away
      return false;
    }
  }

  async #workAll(): Promise<void> {
    await this.#pause(0);
    for (let task = this.#next(); task !== undefined; task = this.#next()) {
      this.#current = task;
      try {
        await this.#runPatiently(task.taskId);
      } finally {
        this.#current = null;
        this.#leave(task.taskId);
      }
    }
  }

  /** The oldest that nobody else works on. */
  #next(): RegistrationTask | undefined {
    if (this.#closed) return undefined;
    const unfinished = this.#o.store.registrationTasks().filter(isUnfinished);
    const found = unfinished.findLast(({ taskId }) => this.#o.store.mayWorkOn(taskId));
    if (unfinished.length > 0 && found === undefined) this.#lookAgain();
    return found;
  }

  /** Where another platform ends, this one goes on with its task. */
  #lookAgain(): void {
    this.#look();
    this.#look = this.#o.scheduler.after(LOOK_AGAIN_AFTER, () => this.#work());
  }

  #leave(taskId: string): void {
    try {
      this.#o.store.leaveWorkOn(taskId);
    } catch (error) {
      this.#o.logger.info("The database is away, so its lock is gone anyway.", { taskId, reason: reasonOf(error) });
    }
  }

  /** What may pass is waited for, some times in a row. */
  async #runPatiently(taskId: string): Promise<void> {
    for (let attempt = 0, stood = -1; ; attempt++) {
      try {
        await this.#run();
        return;
      } catch (error) {
        if (this.#closed) return;
        const { bytesRead } = this.#current!;
        if (bytesRead > stood) attempt = 0; // it has come further
        stood = bytesRead;
        const delay = error instanceof TaskFault || !mayPass(error) ? undefined : DELAYS[attempt];
        const reason = reasonOf(error);
        if (delay === undefined) {
          this.#o.logger.warn("A registration task cannot go on.", { taskId, reason });
          this.#save({ ...this.#current!, status: "Failed", message: reason });
          return;
        }
        this.#o.logger.warn("A registration task waits and is tried again.", { taskId, reason });
        await this.#pause(delay);
      }
    }
  }

  /** Throws what it cannot go on with. */
  async #run(): Promise<void> {
    const { open, store, logger } = this.#o;
    const { taskId, templateBody, inputFileBucket, inputFileKey } = this.#current!;
    if (!store.mayWorkOn(taskId) || this.#isOver()) return;
    const body = parseTemplateBody(templateBody, "FLEET_PROVISIONING", parsePolicy);
    const input = await open(inputFileBucket, inputFileKey);
    const { inputBytes } = this.#current!;
    if (inputBytes !== null && inputBytes !== input.bytes)
      throw new TaskFault("The input file has changed since the task began");
    this.#save({ ...this.#current!, ...store.countRegistrationLines(taskId), inputBytes: input.bytes });
    await this.#provisionAll(body, input);
    if (!store.mayWorkOn(taskId) || this.#isOver()) return;
    this.#save({ ...this.#current!, status: "Completed", bytesRead: input.bytes });
    const { succeeded, failed } = this.#current!;
    logger.info("a registration task is done", { audit: true, taskId, succeeded, failed });
  }

  /** Somebody has cancelled it, or the platform stops. */
  #isOver(): boolean {
    if (this.#current!.status === "Cancelling") this.#save({ ...this.#current!, status: "Cancelled" });
    return this.#closed || this.#current!.status === "Cancelled";
  }

  async #provisionAll(body: TemplateBody, input: RegistrationInput): Promise<void> {
    const { bulkRowsMax, bulkAtOnceMax } = LIMITS.provisioning;
    const underWay = new Set<Promise<void>>();
    let failure: unknown = null;
    let looked = 0;
    try {
      for await (const line of registrationLines(input.chunks)) {
        if (failure !== null || this.#closed || this.#current!.status !== "InProgress") break;
        if (line.line > bulkRowsMax) throw new TaskFault(`The input file has more than ${bulkRowsMax} lines; split it`);
        if (++looked % LINES_PER_TURN === 0) {
          await this.#turn(line.bytes);
          // The connection to the database was lost, and another platform goes on with the task.
          if (!this.#o.store.mayWorkOn(this.#current!.taskId)) break;
        }
        if (this.#isKnown(line)) continue;
        const work: Promise<void> = this.#line(body, line)
          .catch((error: unknown) => void (failure ??= error))
          .finally(() => void underWay.delete(work));
        underWay.add(work);
        if (underWay.size >= bulkAtOnceMax) await Promise.race(underWay);
        this.#current = { ...this.#current!, bytesRead: Math.max(this.#current!.bytesRead, line.bytes) };
      }
    } finally {
      await Promise.all(underWay);
    }
    if (failure !== null) throw failure;
  }

  /** Lets others do their work, and keeps how far it is. */
  #turn(bytesRead: number): Promise<void> {
    this.#save({ ...this.#current!, bytesRead: Math.max(this.#current!.bytesRead, bytesRead) });
    return new Promise((resolve) => this.#o.scheduler.defer(resolve));
  }

  /** An earlier run has brought it to its end. */
  #isKnown({ line }: RegistrationInputLine): boolean {
    const { store, registry } = this.#o;
    const { taskId } = this.#current!;
    const before = store.registrationLine(taskId, line);
    if (before === null || before.outcome !== "planned") return before !== null;
    // Killed between planning and noting: the registry tells whether it was done.
    if (before.certificateId === null || registry.certificate(before.certificateId) === null) return false;
    store.saveRegistrationLine(taskId, { ...before, outcome: "done" });
    this.#count("done");
    return true;
  }

  async #line(body: TemplateBody, given: RegistrationInputLine): Promise<void> {
    const { provisioner, inTurn } = this.#o;
    const { line } = given;
    try {
      if ("fault" in given) throw new ProvisioningRefusal("request", "InvalidPayload", given.fault);
      const provisioned = await inTurn(() =>
        provisioner.provision(body, given.parameters, ({ thing }, certificateId) =>
          this.#note({ line, outcome: "planned", thing: thing?.name ?? null, certificateId, code: null, reason: null }),
        ),
      );
      const { thingName: thing, certificateId } = provisioned;
      await this.#note({ line, outcome: "done", thing, certificateId, code: null, reason: null });
      this.#count("done");
    } catch (error) {
      if (!(error instanceof ProvisioningRefusal)) throw error;
      // The platform's own trouble is no fault of the line: the task waits for it to pass.
      if (error.code === "InternalFailure") throw error;
      const { code, message: reason } = error;
      await this.#note({ line, outcome: "failed", thing: null, certificateId: null, code, reason });
      this.#count("failed");
    }
  }

  #note(line: RegistrationLine): Promise<void> {
    const { taskId } = this.#current!;
    return this.#lines.make(() => this.#o.store.saveRegistrationLine(taskId, line));
  }

  #count(outcome: "done" | "failed"): void {
    const { succeeded, failed } = this.#current!;
    if (outcome === "done") this.#done.value++;
    else this.#failed.value++;
    const counts = outcome === "done" ? { succeeded: succeeded + 1 } : { failed: failed + 1 };
    this.#current = { ...this.#current!, ...counts };
  }

  #save(task: RegistrationTask): void {
    const { store, clock } = this.#o;
    const saved = store.atomically(() => {
      // Another platform may have been told to stop it.
      const isStopped = task.status === "InProgress" && store.registrationTask(task.taskId)?.status === "Cancelling";
      const next = { ...task, ...(isStopped ? { status: "Cancelling" as const } : {}), updatedAt: clock.now() };
      store.saveRegistrationTask(next);
      return next;
    });
    if (this.#current?.taskId === task.taskId) this.#current = saved;
  }

  /** Those that are over, beyond what is kept, with their lines. */
  #forgetOldest(tasks: readonly RegistrationTask[]): void {
    const { store, scheduler } = this.#o;
    const over = tasks.filter((task) => !isUnfinished(task)).slice(LIMITS.provisioning.registrationTasksKept - 1);
    for (const { taskId } of over) {
      const remove = (): void => {
        if (this.#closed) return;
        if (store.removeRegistrationLines(taskId, REMOVED_AT_ONCE) === REMOVED_AT_ONCE) scheduler.defer(remove);
        else store.removeRegistrationTask(taskId);
      };
      remove();
    }
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      this.#wake = () => {
        cancel();
        this.#wake = null;
        resolve();
      };
      cancel = this.#o.scheduler.after(delay, () => this.#wake?.());
    });
  }
}

function isUnfinished({ status }: RegistrationTask): boolean {
  return status === "InProgress" || status === "Cancelling";
}

function mayPass(error: unknown): boolean {
  return (
    (isTidewireError(error) && isRetryable(error)) ||
    (error instanceof ProvisioningRefusal && error.code === "InternalFailure")
  );
}

/** Version 4 (RFC 9562), as AWS's are. */
function uuidOf(bytes: Uint8Array): string {
  const marked = bytes.map((byte, i) => (i === 6 ? (byte & 0x0f) | 0x40 : i === 8 ? (byte & 0x3f) | 0x80 : byte));
  const hex = [...marked].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
