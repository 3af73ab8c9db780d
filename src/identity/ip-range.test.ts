import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseIp, parseIpRange } from "./ip-range.ts";

function within(range: string, address: string): boolean {
  const parsed = parseIpRange(range);
  const at = parseIp(address);
  return parsed !== null && at !== null && at >= parsed.first && at <= parsed.last;
}

describe("address ranges", () => {
  const inside: readonly (readonly [range: string, address: string, expected: boolean])[] = [
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.9.9.9/8", "10.1.1.1", true],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.8", false],
    ["0.0.0.0/0", "255.1.2.3", true],
    ["0.0.0.0/0", "::1", false],
    ["192.0.2.0/24", "::ffff:192.0.2.9", true],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::", false],
    ["::/0", "10.0.0.1", true],
    ["fe80::/10", "fe80::1%eth0", true],
    ["::1", "0:0:0:0:0:0:0:1", true],
  ];
  for (const [range, address, expected] of inside) {
    test(`${address} is ${expected ? "" : "not "}in ${range}`, () => assert.equal(within(range, address), expected));
  }

  for (const wrong of [
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "g::",
    "::1/129",
    "12345::",
  ]) {
    test(`'${wrong}' is refused`, () => assert.equal(parseIpRange(wrong), null));
  }
});
