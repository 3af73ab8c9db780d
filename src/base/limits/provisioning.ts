/** Limits of provisioning, joining and retiring: part of `limits.ts`. */
import { days, hours, kib, minutes, seconds } from "../units.ts";

export const PROVISIONING_LIMITS = {
  /** AWS IoT's number. */
  templateBytesMax: 10_240,
  templateDepthMax: 24,
  templateParametersMax: 64,
  templateVersionsMax: 5,
  templatesMax: 1_000,
  parameterLengthMax: 2_048,
  parametersMax: 64,
  /** A request is a CSR or a few parameters. */
  requestBytesMax: kib(32),
  /** A new certificate that no thing has by then is deleted; AWS IoT's number. */
  tokenLifetime: hours(1),
  /** What one claim may have under way: a whole batch of a factory that is switched on at once. */
  tokensPerClaimMax: 20_000,
  /** Requests of one claim: ten thousand devices in some minutes, and no more than a core can sign. */
  requestsPerSecondMax: 100,
  requestsBurstMax: 500,
  /** Claims whose rates are remembered; the one that was quiet for longest is forgotten. */
  claimsWatchedMax: 10_000,
  /** Requests that are being worked on, hooks included, and those that wait for one of these. */
  requestsAtOnceMax: 64,
  requestsWaitingMax: 5_000,
  /**
   * Certificates that register themselves by connecting, of one registered CA: ten thousand in some minutes, like claims. Who
   * may sign with that CA may not fill the registry faster.
   */
  justInTimePerSecondMax: 50,
  justInTimeBurstMax: 500,
  /** The same from one address, behind which there may be a factory; and the addresses that are remembered. */
  justInTimePerAddressPerSecondMax: 20,
  justInTimePerAddressBurstMax: 200,
  justInTimeAddressesWatchedMax: 10_000,
  /** Of one registered CA: certificates that have registered themselves and wait to be activated, a few megabytes; and for how long. */
  justInTimePendingMax: 10_000,
  justInTimePendingFor: days(30),
  /** Chains that are looked at at once; each is a fraction of a millisecond. */
  justInTimeAtOnceMax: 64,
  /** Lines of one request: 20 would be what its audit entry holds in full, 50 keep the disk's waits few. */
  bulkLinesMax: 50,
  /** Template parameters of one device in a bulk file; with a CSR it still fits into `requestBytesMax`. */
  bulkRowBytesMax: kib(16),
  /** Devices of one bulk file: what a run remembers of each is some 200 bytes. */
  bulkRowsMax: 200_000,
  /** Devices that are signed at once, of all bulk requests, and how fast: a broker that is busy keeps its core. */
  bulkAtOnceMax: 8,
  bulkPerSecondMax: 250,
  /** Bulk requests that are worked on at once; the next is told to come back. */
  bulkRequestsMax: 8,
  /** Registration tasks that are not over, and those whose reports are kept: of 200,000 lines some 40 MB each at most. */
  registrationTasksUnfinishedMax: 10,
  registrationTasksKept: 50,
  /** How long a link to a report is good: whoever has it needs no login. */
  registrationReportLife: minutes(15),
  /** How long a key of a bulk file is recognised. Within that time whoever was interrupted has gone on. */
  bulkMemory: days(90),
  /** AWS IoT's numbers: what a pre-provisioning hook may take, and how long a trusted user's claim is good. */
  hookTimeout: seconds(5),
  hookAnswerBytesMax: kib(4),
  claimLifetime: minutes(5),
  /** How often what is over is looked for. */
  sweepPeriod: seconds(10),
  joinCodeLifetime: minutes(15),
  joinCodeLifetimeMax: days(30),
  joinCodesMax: 10_000,
  /** Wrong codes from one address, and of all addresses, before even right ones are refused for the rest of the minute. */
  joinFailuresPerAddressMax: 10,
  joinFailuresMax: 100,
} as const;
