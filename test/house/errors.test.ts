import assert from "node:assert/strict";
import { test } from "node:test";
import { ERROR_CATALOGUE, TidewireError } from "../../src/base/mod.ts";
import type { ErrorCode } from "../../src/base/mod.ts";
import { isTest, sourceFiles } from "./source.ts";

const entries = Object.entries(ERROR_CATALOGUE) as [ErrorCode, (typeof ERROR_CATALOGUE)[ErrorCode]][];
const code = sourceFiles("src")
  .filter((file) => !isTest(file.path) && !file.path.startsWith("src/base/errors/"))
  .map((file) => file.code)
  .join("\n");

test("every error of the catalogue is raised somewhere", () => {
  const unused = entries.filter(([name]) => !code.includes(`"${name}"`)).map(([name]) => name);
  assert.deepEqual(unused, []);
});

test("every error says what happened and what to do next, in whole sentences", () => {
  for (const [name, entry] of entries) {
    assert.match(entry.message, /^[A-Z{'].*[.}]$/s, `${name}: message`);
    assert.match(entry.fix, /^[A-Z{].*[.}]$/s, `${name}: fix`);
    assert.match(name, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/, name);
  }
});

test("details fill the text; what is missing stays visible", () => {
  const error = new TidewireError("PORT_IN_USE", { port: 8883, host: "::", listener: "MQTT" });
  assert.match(error.message, /Port 8883 on :: /);
  assert.match(error.fix, /\{option\}/);
});
