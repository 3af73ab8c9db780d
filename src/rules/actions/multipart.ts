/** RFC 7578: fields and one file in one body. */
import { encode } from "./rendering.ts";

export interface FormFile {
  readonly name: string;
  readonly filename: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** Longer than chance: a PNG that holds it by accident would need to be larger than all PNGs. */
const BOUNDARY = "tidewire-6f1c0b6e9a5d4c0f8e7b2a3d4c5e6f70";

export const FORM_TYPE = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` } as const;

export function multipart(fields: Readonly<Record<string, string>>, file: FormFile): Uint8Array {
  const texts = Object.entries(fields).map(([name, value]) => `${head(name)}\r\n\r\n${value}\r\n`);
  const fileHead = `${head(file.name)}; filename="${file.filename}"\r\ncontent-type: ${file.type}\r\n\r\n`;
  const before = encode(texts.join("") + fileHead);
  const after = encode(`\r\n--${BOUNDARY}--\r\n`);
  const body = new Uint8Array(before.length + file.bytes.length + after.length);
  body.set(before);
  body.set(file.bytes, before.length);
  body.set(after, before.length + file.bytes.length);
  return body;
}

function head(name: string): string {
  return `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"`;
}

export function chartFile(name: string, bytes: Uint8Array): FormFile {
  return { name, filename: "chart.png", type: "image/png", bytes };
}
