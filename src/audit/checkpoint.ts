/**
 * A signed statement of where the chain stood: `entry` is the number of its last entry then, `hash` that entry's hash, which
 * stands for all before it. Checkpoints are numbered and name the one before, so that none can be left out unseen. What is
 * signed is a text of lines, below; the format has a version, and verifiers refuse those they do not know.
 */
import type { EpochMs } from "../base/mod.ts";
import type { Sha256 } from "./chain.ts";
import type { AuditEvent } from "./entry.ts";

export interface Checkpoint {
  readonly version: 1;
  /** From 1, without a gap, whatever key signs. */
  readonly number: number;
  readonly entry: number;
  readonly hash: string;
  readonly time: EpochMs;
  /** SHA-256 of the text of the checkpoint before; null: it is the first. */
  readonly previous: string | null;
  /** Which key signed it: the SHA-256 of its public part, DER. */
  readonly key: string;
  /** Base64. */
  readonly signature: string;
}

export interface CheckpointSigner {
  readonly key: string;
  /** PEM, for whoever verifies. */
  readonly publicKey: string;
  /** It was made for this start, so nothing can be signed with it yet. */
  readonly isNew: boolean;
  /** Base64 of the signature of the text's UTF-8. */
  readonly sign: (text: string) => string;
}

/** Null: it has no such key. */
export type CheckpointVerifier = (key: string, text: string, signature: string) => boolean | null;

export const CHECKPOINT_ACTION = "audit.checkpoint";

const HASH = /^[0-9a-f]{64}$/;

/** What is signed. */
export function checkpointText({ number, entry, hash, time, previous, key }: Omit<Checkpoint, "signature">): string {
  const lines = [
    "tidewire audit checkpoint 1",
    `number ${number}`,
    `entry ${entry}`,
    `hash ${hash}`,
    `time ${new Date(time).toISOString()}`,
    `previous ${previous ?? "none"}`,
    `key ${key}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** As it stands in the chain and goes elsewhere. */
export function checkpointJson(checkpoint: Checkpoint): Readonly<Record<string, unknown>> {
  return { ...checkpoint, time: new Date(checkpoint.time).toISOString() };
}

/** Null where it is none of this version. */
export function parseCheckpoint(json: unknown): Checkpoint | null {
  if (typeof json !== "object" || json === null) return null;
  const { version, number, entry, hash, time: text, previous = null, key, signature } = json as Record<string, unknown>;
  const time = typeof text === "string" ? Date.parse(text) : Number.NaN;
  if (version !== 1 || !isCount(number) || !isCount(entry) || Number.isNaN(time)) return null;
  if (!isHash(hash) || !isHash(key) || (previous !== null && !isHash(previous))) return null;
  if (typeof signature !== "string" || signature.length > 200) return null;
  return { version, number, entry, hash, time, previous, key, signature };
}

export function signCheckpoint(
  signer: CheckpointSigner,
  before: Checkpoint | null,
  { sequence: entry, hash }: { readonly sequence: number; readonly hash: string },
  time: EpochMs,
  sha256: Sha256,
): Checkpoint {
  const previous = before === null ? null : sha256(checkpointText(before));
  const said = { version: 1, number: (before?.number ?? 0) + 1, entry, hash, time, previous, key: signer.key } as const;
  return { ...said, signature: signer.sign(checkpointText(said)) };
}

export function checkpointEvent(checkpoint: Checkpoint): AuditEvent {
  const actor = { kind: "system", part: "audit" } as const;
  const details = checkpointJson(checkpoint);
  return { actor, address: null, action: CHECKPOINT_ACTION, target: null, outcome: "ok", details };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && HASH.test(value);
}
