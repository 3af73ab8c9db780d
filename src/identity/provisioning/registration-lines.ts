/** The lines of a registration task's input: a JSON object per device, its parameters by name. Nothing is held but one line. */
import { LIMITS, isJsonObject, parseJson } from "../../base/mod.ts";

/** `line`: from 1; empty ones count and say nothing. `bytes`: of the input, up to its end. */
export type RegistrationInputLine = { readonly line: number; readonly bytes: number } & (
  | { readonly parameters: Readonly<Record<string, string>> }
  | { readonly fault: string }
);

const LINE_FEED = 0x0a;

export async function* registrationLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RegistrationInputLine> {
  const most = LIMITS.provisioning.requestBytesMax;
  let open: Uint8Array[] = [];
  let openBytes = 0;
  let line = 1;
  let bytes = 0;
  const keep = (part: Uint8Array): void => {
    openBytes += part.length;
    if (openBytes > most) open = [];
    else if (part.length > 0) open.push(part);
  };
  const end = (): RegistrationInputLine | null => {
    const place = { line: line++, bytes };
    const read = openBytes > most ? { fault: `The line has more than ${most} bytes` } : parametersOf(joined(open));
    [open, openBytes] = [[], 0];
    return read === null ? null : { ...place, ...read };
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      keep(chunk.subarray(from, at));
      bytes += at + 1 - from;
      from = at + 1;
      const read = end();
      if (read !== null) yield read;
    }
    keep(chunk.slice(from)); // whoever gave the chunk may use it again
    bytes += chunk.length - from;
  }
  const last = openBytes === 0 ? null : end();
  if (last !== null) yield last;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Null where the line is empty. */
function parametersOf(
  bytes: Uint8Array,
): { readonly parameters: Readonly<Record<string, string>> } | { readonly fault: string } | null {
  if (bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) return null;
  const { requestBytesMax, parametersMax } = LIMITS.provisioning;
  const parsed = parseJson(bytes, { jsonBytesMax: requestBytesMax, jsonDepthMax: 3 });
  if (!parsed.ok || !isJsonObject(parsed.value)) return { fault: "The line is no JSON object" };
  const entries = Object.entries(parsed.value);
  if (entries.length > parametersMax) return { fault: `The line has more than ${parametersMax} parameters` };
  const other = entries.find(([, value]) => typeof value !== "string");
  if (other !== undefined) return { fault: `'${other[0].slice(0, 100)}' must be text, in quotes` };
  return { parameters: parsed.value as Readonly<Record<string, string>> };
}
