/** Part of `limits.ts`: people who log in, the keys of their programs, and the audit log. */
import { days, hours, kib, mib, minutes, seconds } from "../units.ts";

export const PEOPLE_LIMITS = {
  usersMax: 1_000,
  keysMax: 10_000,
  keysPerOwnerMax: 100,
  /** Open dashboards; the one that was used least recently goes first. */
  sessionsMax: 5_000,
  sessionsPerUserMax: 50,
  /** NIST SP 800-63B asks for 8; a second factor is not there yet. */
  passwordCharactersMin: 10,
  /** Hashing takes as long as the text is. */
  passwordCharactersMax: 256,
  /** A dashboard that nobody looked at for so long is logged out. */
  sessionIdle: days(2),
  /** "Last seen" and "last used" are written to disk this often, not with each request. */
  lastSeenSavedEvery: minutes(1),
  invitationLifetime: days(3),
  /** Failed log-ins before anybody has to wait. NIST allows 100 in a row; the waits make that take days. */
  loginsFreePerName: 5,
  loginsFreePerAddress: 20,
  loginDelayMin: seconds(1),
  loginDelayMaxPerName: minutes(5),
  loginDelayMaxPerAddress: minutes(15),
  loginForgetAfter: hours(6),
  /** Names, and addresses, whose failures are remembered; 100 bytes each. */
  loginSourcesMax: 20_000,
  /** Passwords that are hashed at once (19 MiB and a thread of the pool each), and that wait for it. */
  hashesAtOnceMax: 2,
  hashesWaitingMax: 64,
  /** As AWS: a signed request may be so much older or newer than our clock. */
  signatureSkewMax: minutes(5),
  /** Of a presigned address; AWS's own bound. */
  signatureLifetimeMax: days(7),
} as const;

export const AUDIT_LIMITS = {
  /** A file is closed and the next one begun. */
  fileBytesMax: mib(32),
  entryBytesMax: kib(8),
  /** At least a year; within it nothing is removed but for the disk's sake, which is told. */
  retention: days(400),
  /** Of all files; 60 million connections. The oldest go first, and that is an entry of its own. */
  bytesMax: mib(16 * 1024),
  /** How long a device's entry waits for others to be written with it: each write is a sync. Nobody waits for it, changes go at once. */
  commitDelay: 100,
  /** Entries that are hashed and written in one go, 14 µs each: the broker runs on the same thread. */
  batchEntriesMax: 500,
  /** Entries of devices in memory while the disk is behind; beyond it they are counted instead. */
  pendingMax: 50_000,
  /** Administrative entries that wait for a disk that refuses; beyond it nothing may be changed anyway. */
  pendingChangesMax: 1_000,
  /** Refusals written for one source in a minute; the rest is counted, and the count written. */
  refusalsPerMinuteMax: 10,
  refusalSourcesMax: 10_000,
  /** Of connections that came to nothing before MQTT, from everywhere together: a scan is this many entries and a number. */
  listenerRefusalsPerMinuteMax: 120,
  /** The chain's head is kept elsewhere this often. */
  anchorEvery: minutes(1),
  /** Where the chain stands is signed this often: what came since can be made anew by who holds the disk. */
  checkpointEvery: hours(1),
  pageSizeMax: 1_000,
  /** An administrative change needs this much free disk, so that its entry can be written. */
  diskFreeBytesMin: mib(8),
} as const;
