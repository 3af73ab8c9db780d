/** Records of forgotten things, told by their bytes. */
import { decodeUtf8 } from "../../base/mod.ts";
import type { ForgottenThings } from "../../base/mod.ts";
import { RecordError } from "./fault.ts";
import { recordHead } from "./read.ts";

/** Decodes only what lies below the newest offset that is forgotten. What cannot be read is its reader's to tell. */
export function skipForgotten(
  forgotten: Pick<ForgottenThings, "end" | "skips">,
): (offset: number, bytes: Uint8Array, from: number, to: number) => boolean {
  return (offset, bytes, from, to) => {
    if (offset >= forgotten.end) return false;
    const record = bytes.subarray(from, to);
    try {
      const head = recordHead(record);
      return forgotten.skips(offset, {
        topic: decodeUtf8(record, head.topicStart, head.topicEnd),
        clientId: decodeUtf8(record, head.clientIdStart, head.clientIdEnd),
        thing: head.thingEnd === 0 ? null : decodeUtf8(record, head.thingStart, head.thingEnd),
      });
    } catch (error) {
      if (error instanceof RecordError) return false;
      throw error;
    }
  };
}
