import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { isTidewireError } from "../base/mod.ts";
import { readConfigFile } from "./config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "tidewire-"));
after(() => rmSync(folder, { recursive: true }));

const schema = z.strictObject({
  name: z.string(),
  port: z.int().default(1),
  outbox: z.strictObject({ messages: z.int().optional() }).optional(),
  sources: z.array(z.strictObject({ type: z.string() })).default([]),
});

function read(yaml: string): z.infer<typeof schema> {
  const file = join(folder, "c.yaml");
  writeFileSync(file, yaml);
  return readConfigFile(file, schema, "agent");
}

test("a file gives its values, and defaults for the rest", () => {
  assert.deepEqual(read("name: a\n"), { name: "a", port: 1, sources: [] });
});

for (const [yaml, code, words] of [
  ["name: a\nprt: 2\n", "CONFIG_KEY_UNKNOWN", /'prt'.*Did you mean 'port'/s],
  ["name: a\noutbox: {mesages: 2}\n", "CONFIG_KEY_UNKNOWN", /'outbox\.mesages'.*'messages'/s],
  ["name: a\nsources: [{tpe: x, type: y}]\n", "CONFIG_KEY_UNKNOWN", /'sources\.0\.tpe'.*'type'/s],
  ["name: a\nzzzzzz: 2\n", "CONFIG_KEY_UNKNOWN", /Known keys here: name, port/],
  ["name: a\nport: x\n", "CONFIG_VALUE_INVALID", /'port'/],
  ["port: 1\n", "CONFIG_VALUE_INVALID", /'name'/],
  ["- 1\n", "CONFIG_VALUE_INVALID", /the whole file/],
  ["name: [\n", "CONFIG_FILE_UNREADABLE", /c\.yaml/],
] as const) {
  test(`refused: ${JSON.stringify(yaml)}`, () => {
    assert.throws(
      () => read(yaml),
      (error) => isTidewireError(error) && error.code === code && words.test(`${error.message} ${error.fix}`),
    );
  });
}
