/** PROXY headers, field by field: signature, version and command, family, length, addresses, ports, TLVs. */
import type { ProxyVersion } from "./proxy-header.ts";

export interface ProxyCase {
  readonly title: string;
  readonly version: ProxyVersion;
  readonly bytes: Uint8Array;
  /** What it comes to: an address, null for "the connection's own", or the reason why it is refused. */
  readonly address?: string | null;
  readonly wrong?: RegExp;
}

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const IPV4 = "cb007107 c0000201 d431 22b3"; // 203.0.113.7:54321 to 192.0.2.1:8883
const IPV6 = "20010db8000000000000000000000001 20010db8000000000000000000000002 d431 22b3";
const UNIX = "00".repeat(216);

function binary(title: string, fields: string, outcome: Pick<ProxyCase, "address" | "wrong">): ProxyCase {
  const bytes = Uint8Array.from(fields.match(/[0-9a-f]{2}/g)!, (two) => Number.parseInt(two, 16));
  return { title: `v2: ${title}`, version: "v2", bytes, ...outcome };
}

function text(title: string, line: string, outcome: Pick<ProxyCase, "address" | "wrong">): ProxyCase {
  return { title: `v1: ${title}`, version: "v1", bytes: new TextEncoder().encode(line), ...outcome };
}

export const PROXY_CASES: readonly ProxyCase[] = [
  binary("TCP over IPv4", `${SIGNATURE} 21 11 000c ${IPV4}`, { address: "203.0.113.7" }),
  binary("TCP over IPv6", `${SIGNATURE} 21 21 0024 ${IPV6}`, { address: "2001:db8::1" }),
  binary("IPv4 in IPv6", `${SIGNATURE} 21 21 0024 ${"00".repeat(10)}ffffcb007107 ${"00".repeat(16)} d431 22b3`, {
    address: "203.0.113.7",
  }),
  binary("the unspecified address", `${SIGNATURE} 21 21 0024 ${"00".repeat(32)} d431 22b3`, { address: "::" }),
  binary(
    "TLVs are skipped: ALPN, authority, padding",
    `${SIGNATURE} 21 11 001a ${IPV4} 01 0004 6d717474 02 0001 61 04 0000`,
    {
      address: "203.0.113.7",
    },
  ),
  binary("TLVs that are rubbish are skipped too", `${SIGNATURE} 21 11 000f ${IPV4} ffffff`, { address: "203.0.113.7" }),
  binary("LOCAL: the proxy asks for itself", `${SIGNATURE} 20 00 0000`, { address: null }),
  binary("LOCAL with addresses that do not count", `${SIGNATURE} 20 11 000c ${IPV4}`, { address: null }),
  binary("unspecified family", `${SIGNATURE} 21 00 0000`, { address: null }),
  binary("a UNIX socket", `${SIGNATURE} 21 31 00d8 ${UNIX}`, { address: null }),
  binary("the longest that is taken", `${SIGNATURE} 21 11 1000 ${IPV4} ${"00".repeat(4084)}`, {
    address: "203.0.113.7",
  }),
  binary("one byte longer", `${SIGNATURE} 21 11 1001 ${IPV4}`, { wrong: /longer/ }),
  binary("64 KiB announced", `${SIGNATURE} 21 11 ffff`, { wrong: /longer/ }),
  binary("UDP", `${SIGNATURE} 21 12 000c ${IPV4}`, { wrong: /TCP/ }),
  binary("a family that nobody knows", `${SIGNATURE} 21 41 000c ${IPV4}`, { wrong: /TCP/ }),
  binary("too short for its IPv4 addresses", `${SIGNATURE} 21 11 000b cb007107 c0000201 d431 22`, { wrong: /short/ }),
  binary("too short for its IPv6 addresses", `${SIGNATURE} 21 21 000c ${IPV4}`, { wrong: /short/ }),
  binary("version 3", `${SIGNATURE} 31 11 000c ${IPV4}`, { wrong: /version/ }),
  binary("an unknown command", `${SIGNATURE} 22 11 000c ${IPV4}`, { wrong: /command/ }),
  binary("a TLS ClientHello instead", "16 03 01 02 00 01 00 01 fc 03 03 00 00 00 00 00", { wrong: /no PROXY/ }),
  binary("an MQTT CONNECT instead", "10 0d 00 04 4d 51 54 54 04 02 00 3c 00 01 64", { wrong: /no PROXY/ }),
  binary("version 1 instead", "50 52 4f 58 59 20", { wrong: /no PROXY/ }),
  binary("a signature that ends otherwise", "0d0a0d0a000d0a515549540b 21 11 0000", { wrong: /no PROXY/ }),
  text("TCP over IPv4", "PROXY TCP4 203.0.113.7 192.0.2.1 54321 8883\r\n", { address: "203.0.113.7" }),
  text("TCP over IPv6", "PROXY TCP6 2001:DB8::1 2001:db8::2 54321 8883\r\n", { address: "2001:db8::1" }),
  text("IPv6 written out", "PROXY TCP6 2001:0db8:0:0:0:0:0:1 ::1 54321 8883\r\n", { address: "2001:db8::1" }),
  text("IPv4 in IPv6", "PROXY TCP6 ::ffff:203.0.113.7 ::1 54321 8883\r\n", { address: "203.0.113.7" }),
  text("unknown", "PROXY UNKNOWN\r\n", { address: null }),
  text("unknown, with something", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", { address: null }),
  text("an IPv4 address that is none", "PROXY TCP4 203.0.113.256 192.0.2.1 54321 8883\r\n", { wrong: /address/ }),
  text("three numbers", "PROXY TCP4 203.0.113 192.0.2.1 54321 8883\r\n", { wrong: /address/ }),
  text("an IPv6 address with two gaps", "PROXY TCP6 2001::db8::1 ::1 54321 8883\r\n", { wrong: /address/ }),
  text("an IPv6 address of nine groups", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 54321 8883\r\n", { wrong: /address/ }),
  text("an IPv6 address of seven groups", "PROXY TCP6 1:2:3:4:5:6:7 ::1 54321 8883\r\n", { wrong: /address/ }),
  text("a port too large", "PROXY TCP4 203.0.113.7 192.0.2.1 65536 8883\r\n", { wrong: /port/ }),
  text("no ports", "PROXY TCP4 203.0.113.7 192.0.2.1\r\n", { wrong: /understood/ }),
  text("another word", "PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n", { wrong: /understood/ }),
  text("a line feed alone", "PROXY UNKNOWN\n", { wrong: /CR LF/ }),
  text("a line that does not end", `PROXY UNKNOWN ${"x".repeat(120)}`, { wrong: /longer/ }),
  text("an HTTP request instead", "POST / HTTP/1.1\r\n", { wrong: /no PROXY/ }),
  text("a TLS ClientHello instead", "\u0016\u0003\u0001\u0002\u0000\u0001", { wrong: /no PROXY/ }),
];
