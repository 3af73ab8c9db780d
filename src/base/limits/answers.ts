/** Part of the limits in `limits.ts`: what rules ask of the world beside their message. */
import { kib, mib, minutes, seconds } from "../units.ts";

export const ANSWER_LIMITS = {
  /** Messages of one rule that wait for answers in memory; what comes after them is read from the log again. */
  waitingPerRuleMax: 256,
  /** Of all rules. Each rule may always have one, so a few slow ones stop nobody else. */
  waitingMax: 4_096,
  waitingBytesMax: mib(16),
  /** Messages of one rule that are asked about at once; they are evaluated in their order. */
  inflightPerRuleMax: 16,
  /** Rules that are behind and read the log again at the same time; the others wait for their turn. */
  readersMax: 4,
  /** A rule further behind skips to the present, or the log could never be cleaned up. 1,000 messages/s for a quarter of an hour. */
  behindMax: 1_000_000,
  /** AWS IoT's is 15 minutes; a file that changes is noticed sooner. */
  secretCachedFor: minutes(1),
  secretBytesMax: kib(64),
  /** Failures in a row after which a function is not asked for a while, so that it cannot hold up its rules for hours. */
  functionFailuresMax: 5,
  functionPauseMin: seconds(1),
  functionPauseMax: seconds(30),
  functionAnswerBytesMax: kib(128),
  /** Requests to one function at once; beyond, they wait. */
  functionInflightMax: 32,
  /** Of a table that is a file: it is held in memory, some three times as large, and JSON is parsed in one go (0.1 s). */
  tableBytesMax: mib(16),
  tableRowsMax: 200_000,
  /** How often it is looked whether such a file has changed. */
  tableLookPeriod: seconds(2),
  /** Connections to one PostgreSQL database for look-ups. */
  tableConnectionsMax: 4,
  /** Of a schema for protobuf, and how many of them are kept. */
  descriptorBytesMax: mib(4),
  descriptorsMax: 64,
} as const;
