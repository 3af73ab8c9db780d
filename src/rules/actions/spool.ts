/** Files in a folder below the platform's `spool`: one per batch of JSON lines, or one per message. Complete when it has its name. */
import { mib, seconds } from "../../base/mod.ts";
import { invalid, only, optionalChoice, present, text } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";

export interface SpoolBody {
  /** Below `spool` in the data folder: letters, digits, `-`, `_`. */
  readonly folder: string;
  /** `lines`: a file has what came within a second, one message per line. `message`: one file each. Default lines. */
  readonly format?: (typeof FORMATS)[number];
}

const FORMATS = ["lines", "message"] as const;

const carrier: Carrier = {
  name: "spool",
  batchMax: 5_000,
  batchBytesMax: mib(4),
  linger: seconds(1),
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const spool: ActionKind<SpoolBody> = {
  name: "spool",
  carrier,
  validate(given, at) {
    only(given, at, ["folder", "format"]);
    const folder = text(given["folder"], `${at}.folder`, 64);
    if (!/^[0-9A-Za-z_-]+$/.test(folder))
      throw invalid(`${at}.folder`, "it must be a name of letters, digits, - and _");
    return present({ folder, format: optionalChoice(given["format"], `${at}.format`, FORMATS) });
  },
  plan: ({ folder, format = "lines" }) => ({
    settings: { folder, format },
    label: `spool/${folder}`,
    render: ({ bytes, value }) => ({ body: bytes, fields: value instanceof Uint8Array ? { raw: "true" } : {} }),
  }),
};
