/** Topic names and filters: MQTT 5.0 section 4.7. Pure string work, shared by broker, policies and rules. */

/** Why a topic name or filter is refused; `null` where it is fine. */
export type TopicFault =
  | "empty" // [MQTT-4.7.3-1]
  | "null-character" // [MQTT-4.7.3-2]
  | "too-long" // [MQTT-4.7.3-3], or our own limit
  | "too-deep" // our own limit
  | "wildcard" // [MQTT-3.3.2-2], [MQTT-4.7.0-1]: wildcards in a name; [MQTT-4.7.1-1], [MQTT-4.7.1-2]: misplaced in a filter
  | null;

export interface TopicLimits {
  /** Longest topic, in UTF-8 bytes. */
  readonly topicBytesMax: number;
  /** Most levels (separators + 1). */
  readonly topicLevelsMax: number;
}

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;

/** Checks a topic name as it stands in PUBLISH or a Will. Linear, no allocation. */
export function topicNameFault(name: string, limits: TopicLimits): TopicFault {
  if (name.length === 0) return "empty";
  if (tooLong(name, limits.topicBytesMax)) return "too-long";
  let levels = 1;
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c === SLASH) levels++;
    else if (c === PLUS || c === HASH) return "wildcard";
    else if (c === 0) return "null-character";
  }
  return levels > limits.topicLevelsMax ? "too-deep" : null;
}

/** Checks a topic filter as it stands in SUBSCRIBE, after any `$share/<group>/` was taken off. */
export function topicFilterFault(filter: string, limits: TopicLimits): TopicFault {
  if (filter.length === 0) return "empty";
  if (tooLong(filter, limits.topicBytesMax)) return "too-long";
  let levels = 1;
  for (let i = 0; i < filter.length; i++) {
    const c = filter.charCodeAt(i);
    if (c === SLASH) levels++;
    else if (c === 0) return "null-character";
    else if (c === PLUS || c === HASH) {
      const aloneBefore = i === 0 || filter.charCodeAt(i - 1) === SLASH;
      const last = i === filter.length - 1;
      if (!aloneBefore) return "wildcard"; // [MQTT-4.7.1-2]
      if (c === HASH && !last) return "wildcard"; // [MQTT-4.7.1-1]
      if (c === PLUS && !last && filter.charCodeAt(i + 1) !== SLASH) return "wildcard";
    }
  }
  return levels > limits.topicLevelsMax ? "too-deep" : null;
}

/**
 * Whether a topic name falls under a topic filter.
 * A wildcard in the first level never matches a name that starts with `$` [MQTT-4.7.2-1];
 * `a/#` also matches `a` (section 4.7.1.2).
 */
export function topicMatches(filter: string, name: string): boolean {
  if (name.charCodeAt(0) === 0x24 && isWildcard(filter.charCodeAt(0))) return false;
  let f = 0;
  let n = 0;
  for (;;) {
    if (filter.charCodeAt(f) === HASH) return true;
    const fEnd = levelEnd(filter, f);
    const nEnd = levelEnd(name, n);
    const single = filter.charCodeAt(f) === PLUS && fEnd === f + 1;
    if (!single && !sameLevel(filter, f, fEnd, name, n, nEnd)) return false;
    const fDone = fEnd === filter.length;
    const nDone = nEnd === name.length;
    if (fDone || nDone) return (fDone && nDone) || (nDone && filter.slice(fEnd) === "/#");
    f = fEnd + 1;
    n = nEnd + 1;
  }
}

function isWildcard(c: number): boolean {
  return c === PLUS || c === HASH;
}

function levelEnd(s: string, from: number): number {
  const end = s.indexOf("/", from);
  return end < 0 ? s.length : end;
}

function sameLevel(a: string, aFrom: number, aEnd: number, b: string, bFrom: number, bEnd: number): boolean {
  if (aEnd - aFrom !== bEnd - bFrom) return false;
  for (let i = 0; i < aEnd - aFrom; i++) if (a.charCodeAt(aFrom + i) !== b.charCodeAt(bFrom + i)) return false;
  return true;
}

/** UTF-8 length is between `length` and `3 * length`, so most names need no counting. */
function tooLong(s: string, bytesMax: number): boolean {
  if (s.length > bytesMax) return true;
  if (s.length * 3 <= bytesMax) return false;
  let bytes = 0;
  for (const character of s) {
    const c = character.codePointAt(0)!;
    bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  }
  return bytes > bytesMax;
}
