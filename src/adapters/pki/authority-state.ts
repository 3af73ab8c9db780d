/** `secrets/authority.json`: which CAs there are and what each is for. One file, so that a change is whole or not at all. */
import { X509Certificate } from "node:crypto";
import { reasonOf } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import { damaged } from "../secrets/secrets.ts";
import type { Secrets } from "../secrets/secrets.ts";

/** A CA that we hold the key of: PEM both, the key as the vault wrote it. */
export interface OwnCa {
  readonly certificate: string;
  readonly key: string;
}

export interface FormerRoot {
  readonly certificate: string;
  /** Kept only where it must go on signing our server's certificates. */
  readonly key: string | null;
}

export interface AuthorityState {
  readonly version: 1;
  readonly root: string;
  /** Its key is in `ca.key`, or has been taken away on purpose. */
  readonly rootOffline: boolean;
  /**
   * Devices of an earlier Tidewire trust this root in a form that allows no CA below it: for them the server's certificate
   * comes straight from the root.
   */
  readonly direct: boolean;
  readonly issuer: OwnCa;
  /** Trusted beside the root until they are retired. */
  readonly formerRoots: readonly FormerRoot[];
  /** Whose certificates are still about; their keys sign revocation lists. */
  readonly formerIssuers: readonly OwnCa[];
  /** The root signed by former roots. */
  readonly crossed: readonly string[];
  /** CAs that are trusted no more; the server's certificate may still be of one of them, and is ours to replace. */
  readonly retired: readonly string[];
  /** A new root's key that has not reached `ca.key` yet. */
  readonly pendingKey: string | null;
}

export function readState(secrets: Secrets): AuthorityState | null {
  const text = secrets.read("authority.json");
  if (text === null) return null;
  try {
    const state = JSON.parse(text) as AuthorityState;
    if (state.version !== 1) throw new Error(`its version is ${String(state.version)}, and this Tidewire knows 1`);
    for (const pem of [state.root, ...certificatesOf(state)]) {
      if (!new X509Certificate(pem).ca) throw new Error("a certificate in it is not a certificate authority's");
    }
    return state;
  } catch (error) {
    throw damaged(secrets.folder, "authority.json", `it cannot be read (${reasonOf(error)})`);
  }
}

export function writeState(secrets: Secrets, state: AuthorityState): void {
  secrets.write("authority.json", `${JSON.stringify(state, null, 2)}\n`);
}

/** Of all CAs beside the root. */
export function certificatesOf(state: AuthorityState): readonly string[] {
  const { issuer, formerRoots, formerIssuers, crossed } = state;
  return [issuer.certificate, ...[...formerIssuers, ...formerRoots].map(({ certificate }) => certificate), ...crossed];
}

/** For devices' trust stores, the present root first. */
export function trustOf({ root, formerRoots }: AuthorityState): string {
  return [root, ...formerRoots.map(({ certificate }) => certificate)].map((pem) => `${pem.trimEnd()}\n`).join("");
}

/** Without what has expired. */
export function pruned(state: AuthorityState, now: EpochMs): AuthorityState {
  const lives = (pem: string): boolean => new X509Certificate(pem).validToDate.getTime() > now;
  return {
    ...state,
    formerRoots: state.formerRoots.filter(({ certificate }) => lives(certificate)),
    formerIssuers: state.formerIssuers.filter(({ certificate }) => lives(certificate)),
    crossed: state.crossed.filter(lives),
    retired: state.retired.filter(lives),
  };
}
