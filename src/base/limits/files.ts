/** Part of `limits.ts`: configuration as files, and what it is made of beside rules. */
import { days, kib, mib } from "../units.ts";

export const FILES_LIMITS = {
  /** Documents in one folder, and so in one change: rules and all other kinds. */
  documentsMax: 4_000,
  /** Policies that are shown as documents, the first by name: more are made by machines, one per device. */
  policiesMax: 2_000,
  /** Of one file. */
  fileBytesMax: mib(1),
  /** Of one change: what `apply` sends. */
  changeBytesMax: mib(16),
  /** What is wrong is told up to here, the rest counted. */
  faultsToldMax: 50,
  /** Who changed what since a `diff`: so many are named. */
  changesToldMax: 5,
} as const;

export const SCHEMA_LIMITS = {
  schemasMax: 500,
  /** Compiling costs about a millisecond for each 10 KB. */
  schemaBytesMax: kib(64),
  /** Nested objects and arrays of a schema, and `$ref` into one another while they are compiled. */
  schemaDepthMax: 32,
  /** Objects of a schema that are schemas or hold some; each becomes a few lines of compiled code. */
  schemaNodesMax: 2_000,
  /** Former versions of a schema that are kept to look at and go back to. */
  versionsKeptMax: 20,
  /** A larger payload of a topic with a schema does not fit it. */
  payloadBytesMax: mib(1),
  payloadDepthMax: 32,
  /** Times that one value of a payload may be looked at: nested `anyOf` and `$ref` multiply. */
  checksPerValueMax: 500,
  /** Arrays whose items have to differ are compared each with each. */
  uniqueItemsMax: 1_000,
  /** Steps of all patterns of one message (see `rules.sqlRegexpStepsMax`): a hundredth of a second. */
  patternStepsMax: 400_000,
  /** Of a reason that is told to a device, and kept. */
  reasonCharsMax: 300,
} as const;

export const EVENT_LIMITS = {
  schedulesMax: 500,
  endpointsMax: 200,
  payloadBytesMax: kib(256),
  /** How far into the past a missed run is made up for. */
  missedReach: days(7),
  /** Requests to one endpoint; above it 429. */
  requestsPerMinuteMax: 600,
  tokenCharsMin: 16,
  fieldsPerFormMax: 100,
} as const;
