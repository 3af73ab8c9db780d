import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Fifo } from "./fifo.ts";

test("it is an array whose first ones are taken, whatever is done to it", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.nat(3_000).map((count) => ({ what: "push" as const, count })) },
    { weight: 6, arbitrary: fc.nat(3_000).map((count) => ({ what: "shift" as const, count })) },
    { weight: 1, arbitrary: fc.constant({ what: "retain" as const, count: 0 }) },
    { weight: 1, arbitrary: fc.constant({ what: "clear" as const, count: 0 }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { what, count } of steps) {
        if (what === "push")
          for (let n = 0; n < count; n++) {
            fifo.push(next);
            model.push(next++);
          }
        else if (what === "shift") {
          const taken = Array.from({ length: count }, () => fifo.shift());
          assert.deepEqual(
            taken.filter((item) => item !== undefined),
            model.splice(0, count),
          );
        } else if (what === "retain") {
          assert.deepEqual(
            fifo.retain((n) => n % 3 === 0),
            model.filter((n) => n % 3 !== 0),
          );
          model = model.filter((n) => n % 3 === 0);
        } else {
          fifo.clear();
          model = [];
        }
        assert.deepEqual([fifo.length, fifo.first], [model.length, model[0]]);
      }
      assert.deepEqual([...fifo], model);
    }),
    { numRuns: 60 },
  );
});
