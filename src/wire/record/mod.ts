export { RecordError } from "./fault.ts";
export type { RecordHead } from "./layout.ts";
export { readRecord, recordTopic } from "./read.ts";
export { encodePublisher, messageRecordBytes, recordBytes, writeMessageRecord, writeRecord } from "./write.ts";
export type { EncodedPublisher, PublishedBytes } from "./write.ts";
