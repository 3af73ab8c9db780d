import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimRandom } from "../../../sim/world.ts";
import { PROXY_CASES } from "./proxy-header.cases.ts";
import { readProxyHeader } from "./proxy-header.ts";

const BEHIND = Uint8Array.of(0x10, 0x0d, 0x00);

describe("every case: alone, with bytes behind it, cut at every length", () => {
  for (const { title, version, bytes, address, wrong } of PROXY_CASES) {
    test(title, () => {
      const followed = Uint8Array.from([...bytes, ...BEHIND]);
      for (const given of [bytes, followed]) {
        const header = readProxyHeader(given, version);
        if (wrong === undefined) assert.deepEqual(header, { kind: "complete", address, bytes: bytes.length });
        else assert.match(header.kind === "wrong" ? header.reason : header.kind, wrong);
      }
      for (let length = 0; length < bytes.length; length++) {
        const header = readProxyHeader(bytes.subarray(0, length), version);
        if (wrong === undefined) assert.equal(header.kind, "incomplete", `${length} bytes`);
        else assert.notEqual(header.kind, "complete", `${length} bytes`);
      }
    });
  }
});

test("arbitrary bytes: never an exception, never an address that is none, never more than is allowed", () => {
  const random = new SimRandom(3);
  const address = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]+)$/;
  for (let round = 0; round < 20_000; round++) {
    const { bytes, version } = random.pick(PROXY_CASES);
    const broken = bytes.slice(0, Math.floor(random.next() * (bytes.length + 1)));
    for (let i = Math.floor(random.next() * 4); i > 0 && broken.length > 0; i--) {
      broken[Math.floor(random.next() * broken.length)] = Math.floor(random.next() * 256);
    }
    const header = readProxyHeader(broken, version);
    if (header.kind === "complete") {
      assert.ok(header.bytes <= broken.length, `round ${round}`);
      assert.ok(header.address === null || address.test(header.address), `round ${round}: ${header.address}`);
    }
    if (header.kind === "incomplete") assert.ok(broken.length < 16 + 4096, `round ${round}`);
  }
});
