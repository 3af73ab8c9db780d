export { RecordError } from "./fault.ts";
export { recordFilter, topicPrefixFilter } from "./filter.ts";
export type { RecordFilter } from "./filter.ts";
export type { RecordHead } from "./layout.ts";
export { ORIGIN_UNKNOWN, SENT_STRIDE, noteBytes, readLogged, writeNote } from "./note.ts";
export type { Logged, SessionNote } from "./note.ts";
export { readRecord, recordHead, recordProperties, recordTime } from "./read.ts";
export { encodePublisher, messageRecordBytes, recordBytes, writeMessageRecord, writeRecord } from "./write.ts";
export type { EncodedPublisher, PublishedBytes } from "./write.ts";
