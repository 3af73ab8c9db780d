/** The CA's files: made at the first start, taken over from an earlier Tidewire, put in order after a crash. */
import { X509Certificate, createPrivateKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { TidewireError, days } from "../../base/mod.ts";
import type { EpochMs, Logger } from "../../base/mod.ts";
import { damaged } from "../secrets/secrets.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { readState, trustOf, writeState } from "./authority-state.ts";
import type { AuthorityState, OwnCa } from "./authority-state.ts";
import { endsPath, makeIssuing, makeRoot, withoutPathLength } from "./certificates.ts";
import type { Issuer } from "./certificates.ts";
import { newKeyPair } from "./device-key.ts";
import { readCertificate } from "./facts.ts";
import type { KeyVault } from "./key-vault.ts";
import { isSealed } from "./key-vault.ts";
import { localSigner } from "./signer.ts";
import { isTokenUri, tokenPublicKey, tokenSigner } from "./token.ts";
import type { LoadPkcs11 } from "./token.ts";

export const ROOT_LIFE = days(3650);
/** A third of it is time enough to bring a root that is kept elsewhere. */
const ISSUER_LIFE = days(1095);

export interface AuthorityFiles {
  readonly secrets: Secrets;
  readonly vault: KeyVault;
  readonly logger: Logger;
  readonly host: string;
  /** PKCS#11 URI of the key that new issuing CAs have; null: they get one of their own in the folder. */
  readonly token?: string | null;
  /** How a key on a token is reached. */
  readonly loadToken?: LoadPkcs11;
}

/** What there is, put in order; made where there is nothing. */
export async function openAuthorityFiles(files: AuthorityFiles, now: EpochMs): Promise<AuthorityState> {
  const { secrets } = files;
  const shown = secrets.read("ca.crt");
  const first = shown === null ? null : new X509Certificate(shown);
  if (first?.ca === false) throw damaged(secrets.folder, "ca.crt", "it is not a certificate authority's");
  const state = readState(secrets);
  if (state !== null) return sealed(files, settle(files, state, first));
  return first === null ? makeAll(files, now) : takeOver(files, first, now);
}

/** Throws CA_ROOT_OFFLINE, CA_KEY_LOCKED, CA_PASSPHRASE_WRONG, SECRET_DAMAGED. */
export function rootOf({ secrets, vault }: AuthorityFiles, state: AuthorityState, purpose: string): Issuer {
  const text = state.pendingKey ?? secrets.read("ca.key");
  if (state.rootOffline || text === null) throw new TidewireError("CA_ROOT_OFFLINE", { purpose });
  const key = vault.open(text, `${secrets.folder}/ca.key`);
  const certificate = new X509Certificate(state.root);
  if (!certificate.checkPrivateKey(key)) throw damaged(secrets.folder, "ca.key", "it does not fit ca.crt");
  return { certificate, signer: localSigner(key) };
}

export function issuerOf({ secrets, vault, loadToken }: AuthorityFiles, { certificate, key }: OwnCa): Issuer {
  if (isTokenUri(key)) {
    const onToken = new X509Certificate(certificate);
    return { certificate: onToken, signer: tokenSigner(key, onToken.publicKey, loadToken) };
  }
  const opened = vault.open(key, `${secrets.folder}/authority.json`);
  const parsed = new X509Certificate(certificate);
  if (!parsed.checkPrivateKey(opened)) {
    throw damaged(secrets.folder, "authority.json", "a key in it does not fit its certificate");
  }
  return { certificate: parsed, signer: localSigner(opened) };
}

export async function newIssuer(files: AuthorityFiles, root: Issuer, now: EpochMs): Promise<OwnCa> {
  const { token = null } = files;
  const { privateKey, publicKey } =
    token === null ? newKeyPair() : { privateKey: null, publicKey: await tokenPublicKey(token, files.loadToken) };
  const certificate = await makeIssuing(root, publicKey, files.host, { from: now, until: now + ISSUER_LIFE });
  const { certificateId } = readCertificate(certificate);
  files.logger.info("made an issuing certificate authority", { audit: true, id: certificateId });
  return { certificate, key: privateKey === null ? token! : await files.vault.seal(privateKey) };
}

/**
 * A new root has been written into `authority.json`; its key and the devices' trust follow. Whatever a crash left undone is
 * done here at the next start.
 */
export function settle(files: AuthorityFiles, state: AuthorityState, shown: X509Certificate | null): AuthorityState {
  const { secrets } = files;
  const known = [state.root, ...state.formerRoots.map(({ certificate }) => certificate)];
  if (shown !== null && !known.some((pem) => sameKey(new X509Certificate(pem), shown))) {
    throw damaged(secrets.folder, "ca.crt", "it is another CA's than authority.json");
  }
  if (state.pendingKey !== null) secrets.write("ca.key", state.pendingKey);
  const trust = trustOf(state);
  if (secrets.read("ca.crt") !== trust) secrets.write("ca.crt", trust);
  if (state.rootOffline) secrets.remove("ca.key");
  if (state.pendingKey === null) return state;
  const settled = { ...state, pendingKey: null };
  writeState(secrets, settled);
  return settled;
}

async function makeAll(files: AuthorityFiles, now: EpochMs): Promise<AuthorityState> {
  const { secrets, vault, logger, host } = files;
  const found = secrets.read("ca.key"); // of a first start that was cut short: it signed nothing that is in use
  const key = found === null ? newKeyPair().privateKey : vault.open(found, `${secrets.folder}/ca.key`);
  if (found === null || (vault.sealing && !isSealed(found))) secrets.write("ca.key", await vault.seal(key));
  const signer = localSigner(key);
  const certificate = await makeRoot(signer, host, { from: now, until: now + ROOT_LIFE });
  const root: Issuer = { certificate: new X509Certificate(certificate), signer };
  const state = stateWith(certificate, await newIssuer(files, root, now), false);
  writeState(secrets, state);
  secrets.write("ca.crt", trustOf(state)); // last: from now on the CA exists
  logger.info("made the certificate authority", { audit: true, id: readCertificate(certificate).certificateId });
  return state;
}

/** One CA that signed everything: it is the root from now on. */
async function takeOver(files: AuthorityFiles, shown: X509Certificate, now: EpochMs): Promise<AuthorityState> {
  const { secrets, vault, logger } = files;
  const text = secrets.read("ca.key");
  // Since there is an issuing CA, roots allow one below them.
  if (text === null || !(await endsPath(shown))) {
    throw damaged(secrets.folder, "authority.json", "it is missing, but this platform had it before");
  }
  const old: Issuer = { certificate: shown, signer: localSigner(vault.open(text, `${secrets.folder}/ca.key`)) };
  const certificate = await withoutPathLength(old);
  const root: Issuer = { ...old, certificate: new X509Certificate(certificate) };
  const state = stateWith(certificate, await newIssuer(files, root, now), true);
  writeState(secrets, state);
  logger.info("the certificate authority of an earlier Tidewire is the root now", { audit: true });
  return sealed(files, settle(files, state, shown));
}

function stateWith(root: string, issuer: OwnCa, direct: boolean): AuthorityState {
  const none = { formerRoots: [], formerIssuers: [], crossed: [], retired: [], pendingKey: null };
  return { version: 1, root, rootOffline: false, direct, issuer, ...none };
}

/** Keys that lie open although there is a passphrase now are encrypted. */
async function sealed(files: AuthorityFiles, state: AuthorityState): Promise<AuthorityState> {
  if (!files.vault.sealing) return state;
  return reseal(files, state, (text) => !isSealed(text), files.vault);
}

/** Keys that `wanted` names are written anew as `into` seals them; the same call again finishes what a crash cut short. */
export async function reseal(
  { secrets, logger }: AuthorityFiles,
  state: AuthorityState,
  wanted: (text: string) => boolean,
  into: KeyVault,
  opened: (text: string, path: string) => KeyObject = (text) => createPrivateKey(text),
): Promise<AuthorityState> {
  const path = `${secrets.folder}/authority.json`;
  const one = async (text: string): Promise<string> =>
    wanted(text) && !isTokenUri(text) ? into.seal(opened(text, path)) : text;
  const issuer = { ...state.issuer, key: await one(state.issuer.key) };
  const formerIssuers = await Promise.all(state.formerIssuers.map(async (ca) => ({ ...ca, key: await one(ca.key) })));
  const formerRoots = await Promise.all(
    state.formerRoots.map(async (ca) => ({ ...ca, key: ca.key === null ? null : await one(ca.key) })),
  );
  const next = { ...state, issuer, formerIssuers, formerRoots };
  if (JSON.stringify(next) !== JSON.stringify(state)) writeState(secrets, next);
  let isAnew = false;
  for (const file of ["ca.key", "audit.key"] as const) {
    const text = secrets.read(file);
    if (text === null || !wanted(text)) continue;
    const resealed = await into.seal(opened(text, `${secrets.folder}/${file}`));
    if (resealed === text) continue;
    secrets.write(file, resealed);
    isAnew = true;
  }
  if (isAnew || next !== state) logger.info("the CA's keys were encrypted anew", { audit: true });
  return next;
}

function sameKey(a: X509Certificate, b: X509Certificate): boolean {
  return a.publicKey.equals(b.publicKey);
}
