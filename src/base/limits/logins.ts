/** Part of `limits.ts`: devices that log in without a certificate. */
import { hours, kib, minutes, seconds } from "../units.ts";

export const DEVICE_LOGIN_LIMITS = {
  /** Given by hand; ours have 32 characters of 6 bits. */
  passwordCharactersMin: 12,
  /** Hashing takes as long as the password is. */
  passwordBytesMax: 256,
  /** As many as MQTT allows would be kept for a device that is not let in. */
  userNameBytesMax: kib(2),
  /** With people's two they leave the pool of four a thread for files; some 40 log-ins a second. */
  hashesAtOnceMax: 1,
  /** Six seconds of them: less than a CONNECT may take. Who comes beyond is told to come again. */
  hashesWaitingMax: 256,
  /** Log-ins that were right, kept as a keyed hash in memory: who comes back with the same is not hashed again. 200 bytes each. */
  rememberedMax: 40_000,
  /** How exactly it is kept when a password was last used, and how many are in one go: a fifth of a second of the database. */
  usesSavedEvery: minutes(1),
  usesSavedAtOnce: 5_000,
  /** Failures before a name, or an address, has to wait. Behind one address may be a site with many devices. */
  freePerName: 5,
  freePerAddress: 100,
  delayMaxPerName: minutes(5),
  delayMaxPerAddress: minutes(1),
  /** A token is a kilobyte or two; signature checks take as long as it is. */
  tokenBytesMax: kib(8),
  /** Signature checks under way; each takes a thread of the pool for less than a millisecond. */
  tokenChecksMax: 64,
  /** The issuer's clock and ours. */
  tokenSkewMax: minutes(1),
  /** Longer than that nobody lets a token live that cannot be revoked. */
  tokenLifetimeMax: hours(24 * 366),
  /** Keys of an issuer, and its whole document. */
  issuerKeysMax: 100,
  issuerKeysBytesMax: kib(256),
  /** How long an issuer's keys are good before they are asked for anew; a key that is not known asks at once, this often at most. */
  issuerKeysFreshFor: minutes(10),
  issuerKeysAskedEvery: seconds(30),
  issuerKeysTimeout: seconds(5),
  /** Where an issuer cannot be asked, its keys are good for this long. */
  issuerKeysKeptFor: hours(24),
  /** Rights of tokens that are looked up together; connections that lost theirs are ended within this. */
  reviewDelay: 250,
} as const;
