/**
 * The header with which a proxy says whose connection it passes on: PROXY protocol, versions 1 (text) and 2 (binary), as
 * HAProxy's `doc/proxy-protocol.txt` has them.
 */

export type ProxyVersion = "v1" | "v2";

export type ProxyHeader =
  /** More bytes are needed. */
  | { readonly kind: "incomplete" }
  /** `address` null: the proxy speaks for itself (a health check), or does not know; the connection's own address counts. */
  | { readonly kind: "complete"; readonly address: string | null; readonly bytes: number }
  | { readonly kind: "wrong"; readonly reason: string };

const INCOMPLETE: ProxyHeader = { kind: "incomplete" };

/** `bytes`: all that came so far, from the start of the connection. */
export function readProxyHeader(bytes: Uint8Array, version: ProxyVersion): ProxyHeader {
  return version === "v2" ? readBinary(bytes) : readText(bytes);
}

function wrong(reason: string): ProxyHeader {
  return { kind: "wrong", reason };
}

// ── version 2 ──────────────────────────────────────────────────────────────────────────────────

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const FIXED_BYTES = 16;
/** Addresses take 216 bytes at most; certificates' names and the like in TLVs have the rest. */
const REST_BYTES_MAX = 4096;
const LOCAL = 0x20;
const PROXY = 0x21;
/** Family and transport → bytes of one address; UDP is no way to come here. */
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

function readBinary(bytes: Uint8Array): ProxyHeader {
  const compared = Math.min(bytes.length, SIGNATURE.length);
  for (let i = 0; i < compared; i++) if (bytes[i] !== SIGNATURE[i]) return wrong("no PROXY header of version 2 came");
  if (bytes.length < FIXED_BYTES) return INCOMPLETE;
  const command = bytes[12]!;
  if (command !== LOCAL && command !== PROXY) return wrong("the PROXY header's version or command is not known");
  const rest = (bytes[14]! << 8) | bytes[15]!;
  if (rest > REST_BYTES_MAX) return wrong(`the PROXY header is longer than ${FIXED_BYTES + REST_BYTES_MAX} bytes`);
  if (bytes.length < FIXED_BYTES + rest) return INCOMPLETE;
  const complete = (address: string | null): ProxyHeader => ({ kind: "complete", address, bytes: FIXED_BYTES + rest });
  if (command === LOCAL) return complete(null);
  const addressBytes = bytes[13] === TCP_OVER_IPV4 ? 4 : bytes[13] === TCP_OVER_IPV6 ? 16 : 0;
  if (addressBytes === 0) {
    // Unspecified, or a socket of the proxy's machine: section 2.2 wants it taken without an address.
    return bytes[13] === 0x00 || bytes[13] === 0x31 ? complete(null) : wrong("the PROXY header is not about TCP");
  }
  if (rest < 2 * addressBytes + 4) return wrong("the PROXY header is too short for its addresses");
  const source = bytes.subarray(FIXED_BYTES, FIXED_BYTES + addressBytes);
  return complete(addressBytes === 4 ? ipv4(source) : ipv6(source));
}

function ipv4(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** RFC 5952: lower case, the longest run of zeros as `::`; an IPv4 address in disguise as such. */
function ipv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return ipv4(bytes.subarray(12));
  const { from, length } = longestRunOfZeros(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (length < 2) return text(groups);
  return `${text(groups.slice(0, from))}::${text(groups.slice(from + length))}`;
}

function longestRunOfZeros(groups: readonly number[]): { readonly from: number; readonly length: number } {
  let best = { from: 0, length: 0 };
  for (let from = 0; from < groups.length; from++) {
    let length = 0;
    while (groups[from + length] === 0) length++;
    if (length > best.length) best = { from, length };
  }
  return best;
}

// ── version 1 ──────────────────────────────────────────────────────────────────────────────────

/** With its line end, the longest line that section 2.1 allows. */
const LINE_BYTES_MAX = 107;
const LINE =
  /^PROXY (?:UNKNOWN(?: .*)?|TCP4 ([0-9.]+) [0-9.]+ (\d+) (\d+)|TCP6 ([0-9a-fA-F:.]+) [0-9a-fA-F:.]+ (\d+) (\d+))$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const WORD = "PROXY ";

function readText(bytes: Uint8Array): ProxyHeader {
  const seen = Math.min(bytes.length, LINE_BYTES_MAX);
  for (let i = 0; i < Math.min(seen, WORD.length); i++) {
    if (bytes[i] !== WORD.charCodeAt(i)) return wrong("no PROXY header of version 1 came");
  }
  const end = bytes.subarray(0, seen).indexOf(0x0a);
  if (end === -1) {
    return seen < LINE_BYTES_MAX ? INCOMPLETE : wrong(`the PROXY line is longer than ${LINE_BYTES_MAX} bytes`);
  }
  if (bytes[end - 1] !== 0x0d) return wrong("the PROXY line does not end in CR LF");
  const line = LINE.exec(String.fromCharCode(...bytes.subarray(0, end - 1)));
  if (line === null) return wrong("the PROXY line cannot be understood");
  const ports = [line[2] ?? line[5], line[3] ?? line[6]];
  if (ports.some((port) => port !== undefined && Number(port) > 65_535))
    return wrong("a port of the PROXY line is too large");
  const [four, six] = [line[1], line[4]];
  if (four !== undefined && !IPV4.test(four)) return wrong("the address of the PROXY line is none");
  const address = four ?? (six === undefined ? null : canonicalIpv6(six));
  if (six !== undefined && address === null) return wrong("the address of the PROXY line is none");
  return { kind: "complete", address, bytes: end + 1 };
}

/** Null where it is none. */
function canonicalIpv6(text: string): string | null {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const last = dotted === null ? [] : dotted.slice(2).map(Number);
  if (last.some((byte) => byte > 255)) return null;
  const hex = (at: number): string => ((last[at]! << 8) | last[at + 1]!).toString(16);
  const plain = dotted === null ? text : `${dotted[1]!}${hex(0)}:${hex(2)}`;
  const halves = plain.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head!.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head!, ...Array.from({ length: tail === undefined ? 0 : missing }, () => "0"), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  const values = groups.map((group) => Number.parseInt(group, 16));
  return ipv6(Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff])));
}
