/** Part of `limits.ts`: shadows. */
import { hours, kib, mib, seconds } from "../units.ts";

export const SHADOW_LIMITS = {
  /** Of `state` as JSON, without metadata. AWS IoT's number, as are those of names and levels. */
  documentBytesMax: kib(8),
  /** AWS IoT's largest payload. A larger request is refused unread, and so without its `clientToken`. */
  requestBytesMax: kib(128),
  clientTokenBytesMax: 64,
  /** Levels of keys and items below `desired` or `reported`. AWS's message says 6; others have counted 8. */
  nestingMax: 6,
  /** Requests of one connection that wait for their answer; what comes beyond is refused with 429, as on AWS. */
  inflightMax: 10,
  /** AWS states none; a device that makes up names would fill the disk. Those deleted a moment ago count. */
  perThingMax: 1_000,
  /** Requests that are worked off in one turn, before connections are served again. */
  perTurnMax: 16,
  /** A deleted shadow's version number lives on for so long; then a new one starts at 1. AWS IoT's number. */
  deletedKeptFor: hours(48),
  /** A get that is older when it is read from the log is not answered: who asked has asked again, or is gone. */
  getAnsweredFor: seconds(30),
  /** How long a request over HTTP waits for the log and its turn. */
  apiTimeout: seconds(10),
  /** How often the place in the log is saved where no shadow changes. */
  savePeriod: seconds(5),
  /** Shadows in memory, as parsed JSON; counted by their text. */
  cacheBytesMax: mib(8),
  listPageMax: 100,
  listPageDefault: 25,
} as const;
