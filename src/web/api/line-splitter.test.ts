import assert from "node:assert/strict";
import { test } from "node:test";
import { LineSplitter } from "./line-splitter.ts";

test("lines come whole, wherever the pieces end; what has no end yet waits", () => {
  const text = '{"a":1}\n\n{"b":"ü"}\n{"c"';
  for (let cut = 0; cut <= text.length; cut++) {
    const lines = new LineSplitter();
    const taken = [...lines.take(text.slice(0, cut)), ...lines.take(text.slice(cut))];
    assert.deepEqual(taken, ['{"a":1}', '{"b":"ü"}'], `cut at ${cut}`);
    assert.deepEqual(lines.take(":2}\n"), ['{"c":2}']);
  }
});
