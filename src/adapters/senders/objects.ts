/** Objects in a bucket that the operator has configured: one for each parcel, all of a batch side by side. */
import { createHash } from "node:crypto";
import { isObjectKey, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Millis, Objects } from "../../base/mod.ts";
import { DONE, dead, deliveryFails, targetFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";

/** Null where there is no such bucket. */
export type OpenBucket = (name: string) => Promise<Objects> | null;

export function objectsSender(receiver: Receiver, open: OpenBucket): Sender {
  const { bucket } = receiver.settings as { bucket: string };
  return {
    async send(batch, timeout) {
      const signal = AbortSignal.timeout(timeout);
      // Under one key the last match is to stay.
      const lines = new Map<string, Promise<unknown>>();
      const verdicts = batch.map((parcel) => {
        const key = parcel.fields["key"] ?? "";
        const verdict = (lines.get(key) ?? Promise.resolve()).then(() => put(bucket, open, parcel, signal, timeout));
        lines.set(key, verdict);
        return verdict;
      });
      return Promise.all(verdicts);
    },
    close: () => Promise.resolve(),
  };
}

async function put(
  bucket: string,
  open: OpenBucket,
  { body, fields }: Parcel,
  signal: AbortSignal,
  timeout: Millis,
): Promise<Verdict> {
  const { key = "", contentType, acl } = fields;
  if (!isObjectKey(key)) return dead(`'${key.slice(0, 60)}' is no key of an object: 1 to 512 characters`);
  try {
    const objects = open(bucket);
    // Rules may come before the bucket they are for.
    if (objects === null)
      return targetFails(`there is no bucket '${bucket}': name it under buckets in the configuration`);
    const source = {
      bytes: body.length,
      sha256: createHash("sha256").update(body).digest("hex"),
      read: async (from: number, below: number) => body.subarray(from, below),
      ...(contentType === undefined ? {} : { contentType }),
      ...(acl === undefined ? {} : { acl }),
    };
    await (await objects).put(key, source, signal);
    return DONE;
  } catch (error) {
    if (signal.aborted) return targetFails(`no answer within ${timeout / 1000} s`);
    if (isTidewireError(error) && error.code === "OBJECT_DAMAGED") return deliveryFails(error.message);
    return targetFails(isTidewireError(error) ? error.message : reasonOf(error));
  }
}
