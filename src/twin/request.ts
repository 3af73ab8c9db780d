/** What a request says: bytes to values, or a refusal. Nothing here knows a shadow. */
import { utf8Length } from "../base/mod.ts";
import type { JsonObject, JsonValue, Limits } from "../base/mod.ts";
import { exact, isNode, own, parse } from "./json.ts";
import { REFUSED } from "./refusal.ts";
import type { Refusal } from "./refusal.ts";

/** `null` drops the section, undefined leaves it as it is. */
export interface StateChange {
  readonly desired?: JsonObject | null;
  readonly reported?: JsonObject | null;
}

export interface UpdateRequest {
  readonly ok: true;
  readonly change: StateChange;
  /** The version that the sender believes the shadow to have. */
  readonly version: number | null;
}

/** The token is told also where the rest is refused: without it, AWS's SDKs take no answer for theirs. */
export interface Decoded<T> {
  readonly clientToken: string | null;
  readonly result: T | Refusal;
}

type Body =
  | { readonly ok: true; readonly clientToken: string | null; readonly text: string; readonly value: JsonValue | null }
  | { readonly ok: false; readonly clientToken: string | null; readonly refusal: Refusal };

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function decodeUpdate(payload: Uint8Array, limits: Limits["shadow"]): Decoded<UpdateRequest> {
  const body = bodyOf(payload, limits);
  const { clientToken } = body;
  return { clientToken, result: body.ok ? updateOf(body.text, body.value, limits) : body.refusal };
}

/** An empty body is as good as `{}`. */
export function decodeGet(payload: Uint8Array, limits: Limits["shadow"]): Decoded<{ readonly ok: true }> {
  const body = bodyOf(payload, limits);
  return { clientToken: body.clientToken, result: body.ok ? { ok: true } : body.refusal };
}

/** Of the body only the token counts; whatever else it is, the shadow is to go. */
export function decodeDelete(payload: Uint8Array, limits: Limits["shadow"]): Pick<Decoded<never>, "clientToken"> {
  return { clientToken: bodyOf(payload, limits).clientToken };
}

function bodyOf(payload: Uint8Array, limits: Limits["shadow"]): Body {
  const refused = (refusal: Refusal): Body => ({ ok: false, clientToken: null, refusal });
  if (payload.length > limits.requestBytesMax) return refused(REFUSED.size);
  if (payload.length === 0) return { ok: true, clientToken: null, text: "", value: null };
  let text: string;
  try {
    text = utf8.decode(payload);
  } catch {
    return refused(REFUSED.encoding);
  }
  let value: JsonValue;
  try {
    value = parse(text);
  } catch {
    return refused(REFUSED.json);
  }
  const token = isNode(value) ? own(value, "clientToken") : undefined;
  if (token === undefined) return { ok: true, clientToken: null, text, value };
  if (typeof token !== "string" || utf8Length(token) > limits.clientTokenBytesMax) return refused(REFUSED.clientToken);
  return { ok: true, clientToken: token, text, value };
}

function updateOf(text: string, value: JsonValue | null, limits: Limits["shadow"]): UpdateRequest | Refusal {
  if (text === "") return REFUSED.json;
  if (!isNode(value ?? undefined)) return REFUSED.noState;
  const refused = refusalOf(value as JsonObject, limits);
  if (refused !== null) return refused;
  // Only now: it recurses, and the depth is known.
  const request = exact(text) as JsonObject;
  const version = own(request, "version");
  return {
    ok: true,
    change: own(request, "state") as StateChange,
    version: typeof version === "number" ? version : null,
  };
}

function refusalOf(request: JsonObject, limits: Limits["shadow"]): Refusal | null {
  const state = own(request, "state");
  if (state === undefined) return REFUSED.noState;
  if (!isNode(state)) return REFUSED.state;
  const desired = own(state, "desired");
  const reported = own(state, "reported");
  if (desired !== undefined && desired !== null && !isNode(desired)) return REFUSED.desired;
  if (reported !== undefined && reported !== null && !isNode(reported)) return REFUSED.reported;
  const version = own(request, "version");
  if (version !== undefined && !(Number.isSafeInteger(version) && (version as number) >= 0)) return REFUSED.version;
  if (Object.keys(state).some((key) => key !== "desired" && key !== "reported")) return REFUSED.node;
  // `state`, the section, and as many levels of keys below it.
  if (deeperThan(request, limits.nestingMax + 2)) return REFUSED.nesting(limits.nestingMax);
  const invalid = [desired, reported].some((section) => isNode(section) && holdsNullInArray(section, false));
  return invalid ? REFUSED.node : null;
}

/** Whether a key or an item lies more than `levels` below; looks no further than that. */
function deeperThan(value: JsonValue, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  const items = Object.values(value);
  if (items.length === 0) return false;
  return levels === 0 || items.some((item) => deeperThan(item, levels - 1));
}

/** What is replaced whole has nothing to delete from. */
function holdsNullInArray(value: JsonValue, inArray: boolean): boolean {
  if (value === null) return inArray;
  if (typeof value !== "object") return false;
  const within = inArray || Array.isArray(value);
  return Object.values(value).some((item) => holdsNullInArray(item, within));
}
