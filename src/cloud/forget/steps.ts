/** What is done about a thing that leaves, part by part; each may be done again, and says how much of what it has removed. */
import { ForgottenThings } from "../../base/mod.ts";
import type { Logger, Millis, Scheduler } from "../../base/mod.ts";
import type { Broker } from "../../broker/mod.ts";
import type { DepartureStore } from "../../identity/mod.ts";
import type { Log } from "../../log/mod.ts";
import type { PresenceBook, Registry } from "../../registry/mod.ts";
import type { HotRules } from "../../rules/mod.ts";
import type { PasswordUses } from "../logins/mod.ts";
import type { ShadowService } from "../services/mod.ts";
import type { ForgetEntry, ForgetPart } from "./book.ts";

export interface StepPorts {
  readonly registry: Registry;
  /** Codes and records of provisioning, and names that are not given again. */
  readonly departures: DepartureStore;
  readonly presence: Pick<PresenceBook, "forget">;
  readonly passwordUses: Pick<PasswordUses, "forget">;
  readonly broker: Pick<Broker, "disconnect" | "forgetThing" | "forgetRetained">;
  readonly rules: Pick<HotRules, "eraseThing" | "dismissThing">;
  readonly shadows: Pick<ShadowService, "erase" | "position">;
  readonly log: Pick<Log, "identity">;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export type Removed = Readonly<Record<string, number>>;
type Step = (entry: ForgetEntry) => Removed | Promise<Removed>;
/** Telemetry and archive are the store's, which is told of them and says when they are done. */
export type OwnPart = Exclude<ForgetPart, "telemetry" | "archive">;
export type Steps = Readonly<Record<OwnPart, Step>> & {
  /** A part that waits gives up. */
  stop(): void;
};

/** Between two looks at whether what was accepted before is through. */
const BEHIND_DELAY: Millis = 50;
/** Records of provisioning that are looked at in one turn. */
const RECORDS_AT_ONCE = 2_000;

export function stepsOf(ports: StepPorts): Steps {
  const { registry, departures, presence, passwordUses, broker, rules, shadows, log, scheduler } = ports;
  const stopping = new AbortController();
  /** Rejects where the platform stops: the next start does the part again. */
  const pause = async (delay: Millis): Promise<void> => {
    await new Promise<void>((resolve) => scheduler.after(delay, resolve));
    stopping.signal.throwIfAborted();
  };
  return {
    certificates: (entry) => disown(registry, departures, entry),
    sessions: async ({ thing, log: of, below }) => {
      const forgotten = new ForgottenThings(of === log.identity ? [{ thing, below }] : []);
      return { ...(await broker.forgetThing(thing, (offset, source) => forgotten.skips(offset, source))) };
    },
    /** Its requests that were taken before are through first. */
    shadows: async ({ thing, log: of, below }) => {
      while (of === log.identity && shadows.position < below) await pause(BEHIND_DELAY);
      shadows.erase(thing);
      return {};
    },
    codes: async ({ thing }) => {
      const codes = departures.removeCodesOf(thing);
      let records = 0;
      for (let after: string | null = ""; after !== null;) {
        const page = departures.removeRecordsOf(thing, after, RECORDS_AT_ONCE);
        records += page.removed;
        after = page.upTo;
        await pause(0);
      }
      return { codes, provisioningRecords: records };
    },
    rules: ({ thing, erasesData }) => {
      return erasesData ? { ...rules.eraseThing(thing) } : { alertsResolved: rules.dismissThing(thing) };
    },
    registration: ({ thing }) => {
      const there = registry.things.find(thing) !== undefined;
      if (there) {
        registry.atomically(() => {
          // Attached since: whoever does that twice has seen that it goes.
          for (const { certificateId } of registry.things.principalsOf(thing))
            registry.things.detach(thing, certificateId);
          registry.things.delete(thing);
        });
      }
      passwordUses.forget(thing);
      presence.forget(thing); // the registry tells of it, unless a crash came between
      return { things: there ? 1 : 0 };
    },
    stop: () => stopping.abort(),
  };
}

/** Nobody speaks for it any more. A certificate that stands for other things, too, is only let go. */
function disown(
  registry: Registry,
  departures: DepartureStore,
  { thing, blocksName, requestedAt }: ForgetEntry,
): Removed {
  // Before the thing goes: in between nobody may take its name.
  if (blocksName) departures.blockName(thing, requestedAt);
  return registry.atomically(() => {
    if (registry.things.find(thing) === undefined) return {};
    const principals = registry.things.principalsOf(thing);
    let certificatesRevoked = 0;
    for (const { certificateId } of principals) {
      if (registry.things.ofPrincipal(certificateId).length === 1) {
        registry.certificates.updateStatus(certificateId, "REVOKED");
        certificatesRevoked++;
      }
      registry.things.detach(thing, certificateId);
    }
    const passwords = registry.passwords.remove(thing) ? 1 : 0;
    return { certificatesRevoked, certificatesDetached: principals.length, passwords };
  });
}
