/**
 * A thing is retired: its certificates are revoked, its connections cut, sessions and retained messages removed, its readings
 * kept or erased, its name freed or blocked. Every step may be taken again, so a crash between two only delays the rest.
 */
import { TidewireError, minutes, reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, Logger, Scheduler } from "../../base/mod.ts";
import type { Broker } from "../../broker/mod.ts";
import type { RetirementRecord, RetirementStore } from "../../identity/mod.ts";
import type { Registry } from "../../registry/mod.ts";

export interface RetirementsOptions {
  readonly store: RetirementStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export interface RetireOptions {
  readonly eraseData: boolean;
  readonly blockName: boolean;
}

export interface Retired {
  readonly thing: string;
  readonly certificatesRevoked: number;
  readonly connections: number;
  readonly sessions: number;
  readonly retained: number;
  readonly data: "kept" | "erased";
  readonly name: "free" | "blocked";
}

/** Known once the broker runs. */
export interface RetirementPorts {
  readonly broker: Pick<Broker, "forgetThing">;
  /** Erases what the thing has said, everywhere; null where this platform cannot. */
  readonly eraseData: ((thing: string) => Promise<void>) | null;
}

/** How long after a failure the rest is tried again. */
const RETRY_AFTER = minutes(1);

export class Retirements {
  readonly #o: RetirementsOptions;
  #ports: RetirementPorts | null = null;
  #cancelRetry: Cancel = () => {};
  #closed = false;

  constructor(options: RetirementsOptions) {
    this.#o = options;
    options.registry.things.guardNames((name) => {
      if (options.store.isBlocked(name)) throw new TidewireError("NAME_BLOCKED", { name });
    });
  }

  /** Goes on with what an earlier platform has left unfinished. */
  start(ports: RetirementPorts): void {
    this.#ports = ports;
    for (const record of this.#o.store.retirements()) void this.#resume(record);
  }

  close(): void {
    this.#closed = true;
    this.#cancelRetry();
  }

  /** Throws NOT_FOUND, REQUEST_INVALID; what fails later is tried again by itself. */
  async retire(thing: string, { eraseData, blockName }: RetireOptions): Promise<Retired> {
    const { store, registry, clock, logger } = this.#o;
    const pending = store.retirements().find((each) => each.thing === thing);
    if (pending === undefined) registry.things.describe(thing);
    if (eraseData && this.#ports?.eraseData === null)
      throw new TidewireError("REQUEST_INVALID", {
        reason: "this platform cannot erase data; retire the thing without --erase-data",
      });
    const record: RetirementRecord = { thing, eraseData, blockName, startedAt: clock.now() };
    store.saveRetirement(record);
    logger.info("a thing is being retired", { audit: true, ...record });
    return this.#run(record);
  }

  /** Retirements that are not finished. */
  pending(): readonly RetirementRecord[] {
    return this.#o.store.retirements();
  }

  /** The name may be given again. Throws NOT_FOUND. */
  freeName(name: string): void {
    if (!this.#o.store.freeName(name)) throw new TidewireError("NOT_FOUND", { kind: "blocked name", name });
    this.#o.logger.info("the name of a retired thing is free again", { audit: true, name });
  }

  async #run(record: RetirementRecord): Promise<Retired> {
    const { store, logger } = this.#o;
    const ports = this.#ports;
    if (ports === null) throw new TidewireError("INTERNAL", { reason: "a thing was retired before the broker ran" });
    const { thing, eraseData, blockName } = record;
    if (blockName) store.blockName(thing, record.startedAt);
    const certificatesRevoked = this.#unregister(thing);
    const { connections, sessions, retained } = await ports.broker.forgetThing(thing, (_offset, source) =>
      isOf(thing, source),
    );
    if (eraseData) await ports.eraseData?.(thing);
    store.removeRetirement(thing);
    const name = blockName ? ("blocked" as const) : ("free" as const);
    const data = eraseData ? ("erased" as const) : ("kept" as const);
    const done: Retired = { thing, certificatesRevoked, connections, sessions, retained, data, name };
    logger.info("a thing was retired", { audit: true, ...done });
    return done;
  }

  /** Certificates that stand for other things too are only detached. */
  #unregister(thing: string): number {
    const { registry } = this.#o;
    return registry.atomically(() => {
      if (registry.things.find(thing) === undefined) return 0;
      let revoked = 0;
      registry.passwords.remove(thing);
      for (const { certificateId } of registry.things.principalsOf(thing)) {
        const shared = registry.things.ofPrincipal(certificateId).length > 1;
        registry.things.detach(thing, certificateId);
        if (shared) continue;
        registry.certificates.updateStatus(certificateId, "REVOKED");
        revoked++;
      }
      registry.things.delete(thing);
      return revoked;
    });
  }

  async #resume(record: RetirementRecord): Promise<void> {
    try {
      await this.#run(record);
    } catch (error) {
      if (this.#closed) return;
      const { thing } = record;
      this.#o.logger.error("a thing is not retired yet; it is tried again", { thing, reason: reasonOf(error) });
      this.#cancelRetry = this.#o.scheduler.after(RETRY_AFTER, () => this.start(this.#ports!));
    }
  }
}

/** Its own messages, and those that speak to it or of it below the topics of the default policy. */
function isOf(thing: string, source: { readonly topic: string; readonly thing: string | null }): boolean {
  if (source.thing === thing) return true;
  const roots = ["telemetry", "commands", "responses", "$aws/things"];
  return roots.some((root) => source.topic === `${root}/${thing}` || source.topic.startsWith(`${root}/${thing}/`));
}
