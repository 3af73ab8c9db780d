/**
 * What is done is written here, in order. Entries of devices are batched and never waited for; an administrative change
 * waits until its entry is on disk, together with all that came meanwhile (group commit).
 */
import { LIMITS, TidewireError, reasonOf, seconds } from "../base/mod.ts";
import type { Cancel, Clock, Counter, Logger, Metrics, Scheduler } from "../base/mod.ts";
import { chainLine } from "./chain.ts";
import type { Sha256 } from "./chain.ts";
import { checkpointEvent } from "./checkpoint.ts";
import type { Checkpoint, CheckpointSigner } from "./checkpoint.ts";
import { Checkpoints } from "./checkpoints.ts";
import { entryText } from "./entry.ts";
import type { AuditEvent } from "./entry.ts";
import { anchorText, parseAnchor } from "./ports.ts";
import type { AuditAnchor, AuditFiles, ChainHead } from "./ports.ts";
import { RefusalWindows } from "./refusal-windows.ts";

export interface AuditTrailOptions {
  readonly files: AuditFiles;
  readonly anchor: AuditAnchor;
  /** Of the last checkpoint that was signed; the same kind of place. */
  readonly checkpointNote: AuditAnchor;
  readonly sha256: Sha256;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: { readonly [K in keyof typeof LIMITS.audit]: number };
}

/** It says where the chain stands when it is written. */
const CHECKPOINT = "checkpoint";

interface Pending {
  readonly event: AuditEvent | typeof CHECKPOINT;
  readonly time: number;
  /** Of whoever waits for it. */
  readonly settle: ((error: TidewireError | null) => void) | null;
}

const RETRY = seconds(1);
const SYSTEM = { kind: "system", part: "audit" } as const;

export class AuditTrail {
  readonly #options: AuditTrailOptions;
  readonly #limits: { readonly [K in keyof typeof LIMITS.audit]: number };
  readonly #refusals: RefusalWindows;
  readonly #checkpoints: Checkpoints;
  readonly #checkpointListeners = new Set<(checkpoint: Checkpoint) => void>();
  #checkpointTold = 0;
  readonly #written: Counter;
  readonly #lost: Counter;
  readonly #cancels: Cancel[];
  /** `pendingMax` and `pendingChangesMax` at most. */
  #pending: Pending[] = [];
  #changesPending = 0;
  #head: ChainHead;
  #anchored: number;
  #fileBytes: number;
  #fileNumber: number;
  /** Why nothing can be written now. */
  #failure: string | null = null;
  #freeBytes = Infinity;
  /** Not told in the log itself yet. */
  #lostUntold = 0;
  #timer: Cancel | null = null;
  #writing: Promise<void> | null = null;
  #closed = false;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS.audit;
    const { files, metrics, scheduler } = options;
    this.#head = files.head;
    this.#anchored = this.#head.sequence;
    const last = files.list().at(-1);
    this.#fileNumber = last?.number ?? 0;
    this.#fileBytes = last?.bytes ?? 0;
    this.#refusals = new RefusalWindows(options.clock, this.#limits);
    this.#checkpoints = new Checkpoints({ ...options, note: options.checkpointNote });
    this.#written = metrics.counter({ name: "tidewire_audit_entries_total", help: "Entries of the audit log written" });
    this.#lost = metrics.counter({
      name: "tidewire_audit_lost_total",
      help: "Entries of devices that were counted instead of written, because the disk was behind or refused",
    });
    metrics.observe(
      { name: "tidewire_audit_available", help: "1 while the audit log can be written; 0: nothing may be changed" },
      () => (this.#failure === null ? 1 : 0),
    );
    metrics.observe(
      { name: "tidewire_audit_sequence", help: "Number of the newest entry on disk" },
      () => this.#head.sequence,
    );
    this.#cancels = [
      scheduler.every(this.#limits.anchorEvery, () => void this.#upkeep()),
      scheduler.every(seconds(60), () => this.#tellLeftOut()),
      scheduler.every(this.#limits.checkpointEvery, () => this.#checkpointNow(() => this.#tellCheckpoint())),
    ];
    this.#tellWhatWasFound();
    void this.#upkeep();
  }

  get head(): ChainHead {
    return this.#head;
  }

  /** The newest that was signed. */
  get checkpoint(): Checkpoint | null {
    return this.#checkpoints.last;
  }

  /** PEM; null where nobody signs. */
  get publicKey(): string | null {
    return this.#checkpoints.signer?.publicKey ?? null;
  }

  /** Signs from now on where the chain stands: now, each hour, at the end of each file and when it is closed. */
  async signWith(signer: CheckpointSigner): Promise<void> {
    const wrong = await this.#checkpoints.begin(signer);
    if (wrong !== null) {
      const told = "THE AUDIT LOG IS NOT THE ONE THAT WAS SIGNED: somebody or something has changed it.";
      this.#options.logger.error(told, { reason: wrong });
      this.note({ ...systemEvent("audit.altered", {}), outcome: "failed", reason: wrong });
    }
    this.#checkpointNow();
  }

  /** Told each hour of the newest one, where there is a new one. */
  onCheckpoint(listener: (checkpoint: Checkpoint) => void): Cancel {
    this.#checkpointListeners.add(listener);
    return () => this.#checkpointListeners.delete(listener);
  }

  /** Null where an administrative change may be made now; else why not. */
  get unavailable(): string | null {
    if (this.#closed) return "the platform stops";
    if (this.#failure !== null) return this.#failure;
    if (this.#changesPending >= this.#limits.pendingChangesMax) return "too many changes wait for the disk";
    const { diskFreeBytesMin } = this.#limits;
    return this.#freeBytes < diskFreeBytesMin ? `the disk has less than ${diskFreeBytesMin >> 20} MiB left` : null;
  }

  /** Never waits, never throws; beyond what may be pending it is counted. */
  note(event: AuditEvent): void {
    if (this.#closed || this.#pending.length - this.#changesPending >= this.#limits.pendingMax) {
      this.#lost.value++;
      this.#lostUntold++;
      return;
    }
    this.#push({ event, time: this.#options.clock.now(), settle: null });
  }

  /** As `note`; beyond a few a minute for one source they are counted, and the count is written. False: only counted. */
  refused(source: string, event: AuditEvent): boolean {
    const takes = this.#refusals.takes(source);
    if (takes) this.note(event);
    return takes;
  }

  /** On disk when it resolves. Rejects AUDIT_UNAVAILABLE; the entry stays and is written once the disk takes it. */
  commit(event: AuditEvent): Promise<void> {
    if (this.#closed) return Promise.reject(new TidewireError("AUDIT_UNAVAILABLE", { reason: "the platform stops" }));
    return new Promise((resolve, reject) => {
      const settle = (error: TidewireError | null): void => (error === null ? resolve() : reject(error));
      this.#changesPending++;
      this.#push({ event, time: this.#options.clock.now(), settle }, 0);
    });
  }

  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    this.#tellLeftOut();
    this.#timer?.();
    this.#timer = null;
    this.#checkpointNow();
    do await this.#write();
    // Also what was taken up by a write of its own just when the one before ended.
    while ((this.#pending.length > 0 || this.#writing !== null) && this.#failure === null);
    this.#closed = true;
    this.#keepAnchor();
    await this.#options.files.close();
  }

  #push(pending: Pending, delay: number = this.#limits.commitDelay): void {
    this.#pending.push(pending);
    if (this.#writing !== null || (this.#failure !== null && this.#timer !== null)) return;
    if (delay === 0) {
      this.#timer?.();
      this.#timer = null;
      // At the end of this turn: what comes within it goes along.
      this.#options.scheduler.defer(() => void this.#write());
    } else this.#timer ??= this.#options.scheduler.after(delay, () => void this.#write());
  }

  /** One write at a time; what comes meanwhile is the next one. */
  #write(): Promise<void> {
    this.#timer?.();
    this.#timer = null;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null;
      // What came between the last look and now has set no timer of its own.
      if (this.#pending.length > 0 && this.#failure === null) void this.#write();
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, this.#limits.batchEntriesMax);
      try {
        await this.#writeBatch(batch);
      } catch (error) {
        this.#failed(batch, reasonOf(error));
        return;
      }
    }
  }

  async #writeBatch(batch: readonly Pending[]): Promise<void> {
    const { clock } = this.#options;
    const told = this.#lostUntold;
    const own = (event: Pending["event"]): Pending => ({ event, time: clock.now(), settle: null });
    const lost = told === 0 ? [] : [own(systemEvent("audit.lost", { entries: told }))];
    const isNew = this.#fileNumber === 0 || this.#fileBytes >= this.#limits.fileBytesMax;
    if (isNew) {
      if (this.#fileNumber > 0) await this.#writeEntries([own(CHECKPOINT)], false);
      // Both ends of a file are signed, so that none is without.
      const first = [own(systemEvent("audit.file", this.#fileFacts())), own(CHECKPOINT)];
      await this.#writeEntries([...first, ...lost, ...batch], true);
      this.#fileNumber++;
    } else await this.#writeEntries([...lost, ...batch], false);
    this.#fileBytes = this.#options.files.list().at(-1)?.bytes ?? 0;
    this.#lostUntold -= told;
    if (this.#failure !== null) this.#options.logger.info("The audit log is written again.", { entries: batch.length });
    this.#failure = null;
    for (const { settle } of batch) if (settle !== null) this.#settle(settle, null);
    if (isNew) await this.#retire();
  }

  /** All of them or none; `begin`: into a new file. */
  async #writeEntries(entries: readonly Pending[], begin: boolean): Promise<void> {
    const { files, sha256 } = this.#options;
    let head = this.#head;
    let text = "";
    let signed: Checkpoint | null = null;
    for (const { event, time } of entries) {
      let said = event;
      if (said === CHECKPOINT) {
        if (signed !== null) continue; // one of this hour is enough
        signed = this.#checkpoints.sign(head, time);
        if (signed === null) continue;
        said = checkpointEvent(signed);
      }
      const sequence = head.sequence + 1;
      const { hash, line } = chainLine(head.hash, entryText(sequence, time, said), sha256);
      head = { sequence, hash };
      text += line;
    }
    if (text === "") return;
    if (begin) await files.begin(text);
    else await files.append(text);
    this.#written.value += head.sequence - this.#head.sequence;
    this.#head = head;
    if (signed !== null) this.#checkpoints.written(signed);
  }

  #fileFacts(): Readonly<Record<string, unknown>> {
    return { version: 1, file: this.#fileNumber + 1, previous: this.#head.hash };
  }

  #settle(settle: NonNullable<Pending["settle"]>, error: TidewireError | null): void {
    this.#changesPending--;
    settle(error);
  }

  /** Whoever waits is told; the entries stay, changes before all, and are tried again. */
  #failed(batch: readonly Pending[], reason: string): void {
    if (this.#failure === null) this.#options.logger.error("The audit log cannot be written.", { reason });
    this.#failure = reason;
    const error = new TidewireError("AUDIT_UNAVAILABLE", { reason });
    for (const { settle } of batch) if (settle !== null) this.#settle(settle, error);
    this.#pending = [...batch.map(({ event, time }) => ({ event, time, settle: null })), ...this.#pending];
    const most = this.#limits.pendingMax + this.#limits.pendingChangesMax;
    const over = this.#pending.length - most;
    if (over > 0) {
      this.#lost.value += over;
      this.#lostUntold += over;
      this.#pending.length = most;
    }
    this.#timer = this.#options.scheduler.after(RETRY, () => void this.#write());
  }

  /** Files that are older than they must be kept, or too many. That they went, and what their last hash was, stays written. */
  async #retire(): Promise<void> {
    const { files, clock } = this.#options;
    const all = files.list();
    let bytes = all.reduce((sum, file) => sum + file.bytes, 0);
    for (const [index, file] of all.entries()) {
      const next = all[index + 1];
      // A file ends where the next one begins.
      if (next === undefined) return;
      const isOld = clock.now() - next.from > this.#limits.retention;
      if (!isOld && bytes <= this.#limits.bytesMax) return;
      await files.remove(file.number);
      bytes -= file.bytes;
      this.note(
        systemEvent("audit.retire", { file: file.number, why: isOld ? "older than it is kept" : "too many bytes" }),
      );
    }
  }

  async #upkeep(): Promise<void> {
    this.#keepAnchor();
    try {
      this.#freeBytes = await this.#options.files.free();
    } catch {
      this.#freeBytes = Infinity; // what cannot be asked is found out by writing
    }
  }

  #checkpointNow(settle: Pending["settle"] = null): void {
    if (this.#checkpoints.signer === null || this.#closed) return;
    if (settle !== null) this.#changesPending++;
    this.#push({ event: CHECKPOINT, time: this.#options.clock.now(), settle });
  }

  #tellCheckpoint(): void {
    const { last } = this.#checkpoints;
    if (last === null || last.number <= this.#checkpointTold) return;
    this.#checkpointTold = last.number;
    for (const listener of this.#checkpointListeners) listener(last);
  }

  #keepAnchor(): void {
    if (this.#anchored === this.#head.sequence) return;
    try {
      this.#options.anchor.write(anchorText(this.#head));
      this.#anchored = this.#head.sequence;
      // Whoever collects the log has the chain's end outside of this machine.
      this.#options.logger.debug("audit log", { sequence: this.#head.sequence, hash: this.#head.hash });
    } catch (error) {
      this.#options.logger.warn("The end of the audit log cannot be noted.", { reason: reasonOf(error) });
    }
  }

  #tellLeftOut(): void {
    for (const { source, count } of this.#refusals.turn()) {
      this.note({ ...systemEvent("refusals.left-out", { count }), target: source });
    }
  }

  /** Half an entry at the end, or an end that was there before and is gone. */
  #tellWhatWasFound(): void {
    const { files, logger, anchor } = this.#options;
    if (files.torn !== null) {
      logger.warn("The audit log ended with half an entry, of a crash; it was put aside.", { ...files.torn });
      this.note(systemEvent("audit.torn", { ...files.torn }));
    }
    const anchored = parseAnchor(anchor.read());
    if (anchored === null || anchored.sequence <= this.#head.sequence) return;
    const details = { found: this.#head.sequence, expected: anchored.sequence, hash: anchored.hash };
    logger.error("THE END OF THE AUDIT LOG IS MISSING: somebody or something has cut it.", details);
    this.note({ ...systemEvent("audit.truncated", details), outcome: "failed" });
  }
}

function systemEvent(action: string, details: Readonly<Record<string, unknown>>): AuditEvent {
  return { actor: SYSTEM, address: null, action, target: null, outcome: "ok", details };
}
