/** Part of `contract.ts`: what devices may do, and who was refused. Types only. */
import type { EpochMs } from "../../base/mod.ts";

export interface PutPolicy {
  readonly policyName: string;
  readonly version: number;
  /** What is valid and surely not meant. */
  readonly warnings: readonly string[];
}

/** That a thing may log in by password, and since when. */
export interface DevicePassword {
  readonly thing: string;
  readonly version: number;
  readonly createdAt: EpochMs;
  readonly changedAt: EpochMs;
  /** Null: not since it was set, or the platform started. */
  readonly usedAt: EpochMs | null;
  readonly policies: readonly string[];
}

/** A thing's password was set; `password` where it was made here. */
export interface MadePassword extends DevicePassword {
  readonly password: string | null;
}

export interface PolicyVersions {
  readonly versions: readonly {
    readonly version: number;
    readonly isDefault: boolean;
    readonly document: string;
    readonly createdAt: EpochMs;
  }[];
}

export interface PolicyAnswer {
  readonly allowed: boolean;
  readonly sentence: string;
  /** Null where no statement is about it. `version` is null for a document that was only tried. */
  readonly decidedBy: {
    readonly policy: string;
    readonly version: number | null;
    /** Place in the document, from 0. */
    readonly statement: number;
    readonly sid: string | null;
    readonly effect: "Allow" | "Deny";
  } | null;
  /** Statements that could not apply, and what else stands in the way. */
  readonly notes: readonly string[];
  /** Null where it logs in with a password or a token. */
  readonly certificateId: string | null;
  /** The certificate's id, `password/THING`, or `jwt/THING`. */
  readonly principal: string;
  readonly clientId: string;
  /** The thing that such a connection speaks for. */
  readonly thing: string | null;
  readonly policies: readonly { readonly policyName: string; readonly version: number }[];
}

export interface RefusalPage {
  /** The latest first. */
  readonly refusals: readonly Refusal[];
  /** How many are kept in all. */
  readonly kept: number;
}

/** A device that did not get what it asked for: one for each device, reason and topic. */
export interface Refusal {
  /** Grows with every refusal; `after=` asks for those above it. */
  readonly sequence: number;
  readonly action: "connect" | "publish" | "subscribe" | "receive";
  /** Stable word, such as `expired`, `client-id`, `publish-forbidden`. */
  readonly reason: string;
  readonly sentence: string;
  readonly fix: string;
  /** To be run as it stands; null where none helps. */
  readonly command: string | null;
  /** It would pass by now: somebody has corrected it. */
  readonly allowedNow: boolean;
  readonly certificateId: string | null;
  readonly subject: string | null;
  readonly clientId: string | null;
  readonly thing: string | null;
  readonly remoteAddress: string;
  /** Topic or filter. */
  readonly resource: string | null;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly count: number;
}
/** A line of `POST /api/bulk-provisioning`; `line`: as it was given, or its place in the request. */
export type BulkAnswer =
  | {
      readonly line: number;
      readonly outcome: "done";
      readonly thing: string;
      readonly certificateId: string;
      readonly certificatePem: string;
      readonly deviceConfiguration: Readonly<Record<string, string>>;
      readonly again: boolean;
    }
  | { readonly line: number; readonly outcome: "checked"; readonly thing: string }
  | { readonly line: number; readonly outcome: "failed"; readonly code: string; readonly reason: string };

/** What becomes of a device that leaves. `done`: what was to go is in no store, no file and no answer any more. */
export interface ForgetReport {
  readonly id: number;
  readonly thing: string;
  readonly state: "running" | "waiting" | "done";
  /** What it waits for; null where it does not. */
  readonly reason: string | null;
  readonly requestedAt: EpochMs;
  readonly completedAt: EpochMs | null;
  /** Its registration goes, too. */
  readonly withRegistration: boolean;
  readonly data: "kept" | "erased";
  /** As it is now. `own`: it stays, and has its name. `leaving`: not given again before all is done here. `taken`: another has it. */
  readonly name: "own" | "leaving" | "free" | "blocked" | "taken";
  /** Parts that are still to come. */
  readonly missing: readonly string[];
  /** How much of what was removed: `points`, `events`, `alerts`, … */
  readonly removed: Readonly<Record<string, number>>;
  /** What is left of it elsewhere, and until when (null: until a person removes it). */
  readonly remains: readonly {
    readonly where: string;
    readonly detail: string;
    readonly until: EpochMs | null;
    readonly names: readonly string[];
  }[];
}

export interface ForgottenThings {
  /** Newest first. */
  readonly things: readonly ForgetReport[];
  /** Pass it as `before` for the next page; null at the end. */
  readonly next: number | null;
}

/** `GET /api/connection`: what a new device needs to know. */
export interface ConnectionInfo {
  /** Where devices on this machine connect. */
  readonly mqtts: string;
  /** The same, under every address that other machines may use. */
  readonly addresses: readonly string[];
  /** Where devices renew their certificates, at the same host. */
  readonly httpsPort: number;
  readonly caPem: string;
  readonly defaultPolicy: string;
}
