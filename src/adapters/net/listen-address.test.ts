import assert from "node:assert/strict";
import { test } from "node:test";
import { listenAddress } from "./listen-address.ts";

test("every address means IPv4 alone where the machine has no IPv6; a chosen address stays", () => {
  const old = { lo: [{ family: "IPv4" as const }] };
  const both = { lo: [{ family: "IPv4" as const }, { family: "IPv6" as const }] };
  assert.equal(listenAddress("::", old), "0.0.0.0");
  assert.equal(listenAddress("::", both), "::");
  assert.equal(listenAddress("127.0.0.1", old), "127.0.0.1");
});
