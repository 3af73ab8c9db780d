import assert from "node:assert/strict";
import { test } from "node:test";
import { alignedTable } from "./query-table.ts";

const columns = [
  { name: "thing", type: "VARCHAR" },
  { name: "value", type: "DOUBLE" },
];

test("numbers stand to the right, NULL is said, wide characters count twice", () => {
  const rows = [
    ["press-1", 1.5],
    ["温度", 100],
    [null, null],
  ];
  assert.equal(
    alignedTable({ columns, rows }),
    ["thing    value", "───────  ─────", "press-1    1.5", "温度       100", "NULL      NULL"].join("\n"),
  );
});

test("a device's text can neither break the table nor speak to the terminal", () => {
  const text = alignedTable({
    columns,
    rows: [
      ["a\u001b[2J\nb\u202e", 1],
      ["x".repeat(100), 2],
    ],
  });
  assert.ok(text.includes("a\\u001b[2J\\nb\\u202e"));
  assert.ok(!text.includes("\u001b"));
  assert.equal(text.split("\n").length, 4);
  assert.match(text, /x{79}…/);
});

test("no rows: the names all the same; lists and objects as JSON", () => {
  assert.equal(alignedTable({ columns, rows: [] }), "thing  value\n─────  ─────");
  const lists = [{ name: "l", type: "INTEGER[]" }];
  assert.equal(alignedTable({ columns: lists, rows: [[[1, { a: null }]]] }), 'l\n──────────────\n[1,{"a":null}]');
});
