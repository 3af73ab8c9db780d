/** Part of the limits in `limits.ts`: searching the fleet. */
import { seconds } from "../units.ts";
import type { Millis } from "../units.ts";

export const SEARCH_LIMITS = {
  /** Characters of a query. AWS IoT's number, as is that of queries that begin a term with a wildcard. */
  queryLengthMax: 1_000,
  leadingWildcardLengthMax: 100,
  /** AWS allows 12. */
  queryTermsMax: 50,
  queryNestingMax: 32,
  /** Things that an index lookup may find to be sorted by name; of more, the things are looked through by name. */
  sortedMax: 20_000,
  /** Things that have a pattern's pieces, and are sorted by name for a page; to know a name takes longer here. */
  sortedPiecesMax: 8_192,
  /** Names of them that are brought into order for the first page; then twice as many each time. */
  sortedAtFirst: 512,
  /** Names, ids of things, or entries of a field, that are read from the index at once: some milliseconds. */
  namesAtOnce: 4_096,
  idsAtOnce: 65_536,
  entriesAtOnce: 16_384,
  /** Things that a word or a range may find to be gone through instead of all things. */
  narrowMax: 65_536,
  /** Things that are looked at by name, in the hope that a pattern is frequent, before its pieces narrow them. */
  hopefulMax: 2_048,
  /** Things that have a pattern's beginning, and are looked at without asking more closely. */
  patternThingsMax: 256,
  /** Different words that are held against a pattern: 5 ms. Of more, those are found that have pieces of it. */
  patternWordsMax: 2_048,
  /** Words whose things are brought into one order while a page is filled. */
  mergedWordsMax: 256,
  /** Things that are read and tested at once: some milliseconds. */
  testedAtOnce: 256,
  /** Field names with an index of their own; devices make them up. Beyond, a search looks through the things. */
  indexedFieldsMax: 2_000,
  /** Characters of a word in the index; what a longer one matches is found by its beginning, and tested. */
  indexedWordLengthMax: 128,
  pageSizeMax: 250,
  pageSizeDefault: 100,
  /** A page that takes longer is handed out as far as it came, with a token to go on. */
  pageTime: seconds(1),
  /** A count or a statistic that takes longer is refused. */
  statisticsTime: seconds(20),
  /** How stale the index may be: changes are collected for so long. */
  indexDelay: 500 as Millis,
  /** Things with changes that wait; where there are more, all things are compared with the index. */
  waitingMax: 50_000,
  /** Things that are made ready for the index in one turn, before connections are served again. */
  perTurnMax: 50,
} as const;
