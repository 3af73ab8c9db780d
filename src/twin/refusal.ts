/** Why a request is refused, in AWS IoT's codes and words: "Device Shadow error messages". */
import type { ShadowKey } from "./topics.ts";

export interface Refusal {
  readonly ok: false;
  readonly code: 400 | 404 | 409 | 413 | 415 | 429;
  readonly message: string;
}

function refusal(code: Refusal["code"], message: string): Refusal {
  return { ok: false, code, message };
}

export const REFUSED = {
  json: refusal(400, "Invalid JSON"),
  noState: refusal(400, "Missing required node: state"),
  state: refusal(400, "State node must be an object"),
  desired: refusal(400, "Desired node must be an object"),
  reported: refusal(400, "Reported node must be an object"),
  version: refusal(400, "Invalid version"),
  clientToken: refusal(400, "Invalid clientToken"),
  node: refusal(400, "State contains an invalid node"),
  shadowName: refusal(400, "Invalid shadow name"),
  shadows: refusal(400, "The thing has too many shadows"),
  thing: refusal(404, "Thing not found"),
  conflict: refusal(409, "Version conflict"),
  size: refusal(413, "The payload exceeds the maximum size allowed"),
  encoding: refusal(415, "Unsupported documented encoding; supported encoding is UTF-8"),
  inflight: refusal(429, "Too many requests"),
  nesting: (max: number): Refusal => refusal(400, `JSON contains too many levels of nesting; maximum is ${max}`),
  /** AWS calls the classic shadow by its thing's name. */
  shadow: ({ thing, name }: ShadowKey): Refusal =>
    refusal(404, `No shadow exists with name: ${name === "" ? thing : name}`),
} as const;
