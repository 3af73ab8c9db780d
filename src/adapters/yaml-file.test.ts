import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { isTidewireError } from "../base/mod.ts";
import { parseSimpleYaml } from "./simple-yaml.ts";
import { readYamlFile } from "./yaml-file.ts";

const AGENT = `# This machine.
thing: press-7           # its name
broker: mqtts://broker.example.org:8883
certificate: device.crt
privateKey: "keys/device key"
ca: ./ca.crt
data: ./data

sources:
  - type: system
    every: 1s
    disk: /
  - {type: system, every: 500ms}
outbox:
  messages: 100000
  bytes: 64MiB
flow: [{type: system, every: 1s}, a, 'b # c', [], {}, true, 12]
`;

function full(text: string): unknown {
  try {
    return parse(text, { logLevel: "silent" });
  } catch {
    return undefined; // refused
  }
}

test("an agent's configuration is read without the full parser, and as the full parser reads it", () => {
  const value = parseSimpleYaml(AGENT);
  assert.deepEqual(value, full(AGENT));
  assert.deepEqual(value?.["sources"], [
    { type: "system", every: "1s", disk: "/" },
    { type: "system", every: "500ms" },
  ]);
});

for (const text of [
  "sources:\n- type: system\n  every: 1s\n- a\nb: c\n",
  "a:\n  b:\n    c: d\n  e: f\n",
  "a: mqtts://[::1]:8883\n",
  "a: b: c\n",
  "a: x #c\nb: x#c\n",
  "a: 0x10\nb: 1e3\nc: 1.5\nd: -1\ne: 010\n",
  "a: yes\nb: Null\nc: ~\nd:\n",
  "a: b\na: c\n",
  "a: b\n c: d\n",
  "a: |\n  text\n",
  "a: &x b\nc: *x\n",
  "a: two words\nb: [two words, c]\n",
  'a: "x\\ty"\nb: "it\'s"\n',
  "a: [b, c\nd: e\n",
  "a: {b: c, }\nd: [e,]\n",
  "- a\n- b\n",
  "a:\n  - b\n c: d\n",
  "null: a\ntrue: b\n",
  "a: {b : c}\n",
  "a: {b:c}\n",
  'a: {b:"c"}\n',
  "a: {b:'c', d: [e]}\n",
  "a: [b:'c']\n",
  "a: -\nb: - c\n",
  "a:b\n",
  "a: 'x'y\n",
  "a: x 'y'\n",
  "a: {b: c: d}\n",
  "a: [b:]\n",
  "a: [b: c]\n",
  "__proto__: a\n",
  "constructor: a\n",
]) {
  test(`read the same, or declined: ${JSON.stringify(text)}`, () => {
    const simple = parseSimpleYaml(text);
    if (simple !== null) assert.deepEqual(simple, full(text));
  });
}

const words = ["a", "key", "system", "1s", "100", "0", "-1", "1.5", "x:y", "mqtts://h:1", "./d", '"q q"', "'s'", "true"]
  .concat([
    "no",
    "null",
    "~",
    "b:",
    "{b:",
    "-",
    "- ",
    ":",
    ": ",
    "#",
    " #c",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ",",
    "\n",
    "\n  ",
  ])
  .concat(["\n    ", "\n- ", "\n  - ", " ", "k: ", "b: v", "\t", "|", "&a", "*a", "!t", "é", "?", "@", "%", "\\"]);
const word = fc.constantFrom(...words);

test("whatever the text, the simple reader agrees with the full parser or declines", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 14 }), (words) => {
      const text = `k: ${words.join("")}`;
      const simple = parseSimpleYaml(text);
      if (simple === null) return;
      read++;
      assert.deepEqual(simple, full(text), JSON.stringify(text));
    }),
    { numRuns: 20_000, seed: 7 },
  );
  assert.ok(read > 500, `it read ${read}`);
});

const name = fc.constantFrom("a", "b", "type", "every", "out-box", "_x");
const scalar = fc.oneof(fc.constantFrom("system", "1s", "./x", "/", "64MiB", "a.b"), fc.nat(1e6), fc.boolean());
const tree = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    scalar,
    tie("mapping"),
    fc.array(tie("value"), { minLength: 1, maxLength: 3 }),
  ),
  mapping: fc.dictionary(name, tie("value"), { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
})).mapping;

test("what a program writes as plain YAML is often read without the full parser", async () => {
  const { stringify } = await import("yaml");
  let read = 0;
  fc.assert(
    fc.property(tree, (value) => {
      const text = stringify(value);
      const simple = parseSimpleYaml(text);
      if (simple === null) return;
      read++;
      assert.deepEqual(simple, value);
    }),
    { numRuns: 1000, seed: 7 },
  );
  assert.ok(read > 400, `it read ${read} of 1000`);
});

test("files that the simple reader declines go to the full parser; unreadable ones are told with the reason", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-yaml-"));
  const write = (text: string): string => {
    const path = join(folder, "x.yaml");
    writeFileSync(path, text);
    return path;
  };
  assert.deepEqual(await readYamlFile(write("a: |\n  two\n  lines\n"), 1000), { a: "two\nlines\n" });
  assert.deepEqual(await readYamlFile(write(""), 1000), {});
  for (const [path, reason] of [
    [join(folder, "none.yaml"), /ENOENT/],
    [write(`a: ${"x".repeat(2000)}`), /larger than 1000 bytes/],
  ] as const) {
    await assert.rejects(
      readYamlFile(path, 1000),
      (error) => isTidewireError(error) && error.code === "CONFIG_FILE_UNREADABLE" && reason.test(error.message),
    );
  }
  await assert.rejects(
    readYamlFile(write("a: [b\n"), 1000),
    (error) => isTidewireError(error) && error.code === "CONFIG_FILE_UNREADABLE" && /line/.test(error.message),
  );
  rmSync(folder, { recursive: true, force: true });
});
