import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../base/mod.ts";
import { columnFault } from "./provision-bulk.ts";
import { rowsOf } from "./provision-rows.ts";
import type { Row, RowFormat } from "./provision-rows.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

async function read(text: string | Uint8Array, format: RowFormat = "csv", size = 7): Promise<readonly Row[]> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const rows: Row[] = [];
  for await (const row of rowsOf(pieces(bytes, size), format, () => null, "devices")) rows.push(row);
  return rows;
}

const good = (line: number, parameters: Record<string, string>): Row => ({ line, parameters });
const A1 = { Serial: "A-1", Site: "north" };

describe("a CSV file of devices", () => {
  for (const [title, text] of [
    ["as RFC 4180 has it", "Serial,Site\r\nA-1,north\r\n"],
    ["without an end of its last line", "Serial,Site\nA-1,north"],
    ["with a byte order mark, as spreadsheets write it", "\uFEFFSerial,Site\r\nA-1,north\r\n"],
    ["with semicolons", "Serial;Site\nA-1;north\n"],
    ["with tabs", "Serial\tSite\nA-1\tnorth\n"],
    ["with quotes", '"Serial","Site"\n"A-1","north"\n'],
    ["with spaces around its columns", "Serial , Site\nA-1,north\n"],
    ["with the ends of lines of an old Mac", "Serial,Site\rA-1,north\r"],
  ] as const) {
    test(title, async () => {
      assert.deepEqual(await read(text), [good(2, A1)]);
      assert.deepEqual(await read(text, "csv", 1), [good(2, A1)], "whatever pieces it comes in");
    });
  }

  test("quotes hold delimiters, quotes and ends of lines; lines are counted as an editor counts them", async () => {
    const text = 'Serial,Site\n"A,""1""","a\r\nb"\n\nA-2,south\n';
    assert.deepEqual(await read(text), [
      good(2, { Serial: 'A,"1"', Site: "a\r\nb" }),
      good(5, { Serial: "A-2", Site: "south" }),
    ]);
  });

  test("an empty cell leaves the parameter out", async () => {
    assert.deepEqual(await read("Serial,Site\nA-1,\n"), [good(2, { Serial: "A-1" })]);
  });

  test("what is wrong is told by line, and the others are read", async () => {
    const long = "x".repeat(1_000_000);
    const lines = ["Serial,Site", "A-1", "A-2,b,c", 'A-3,x"y', 'A-4,"x"y', `A-5,${long}`, "A-6,south", `"A-7,${long}`];
    const rows = await read(`${lines.join("\n")}\nA-8,west\nA-9,"open`, "csv", 65_536);
    const faults = rows.map((row) => [row.line, "fault" in row ? row.fault : row.parameters["Serial"]]);
    const { bulkRowBytesMax } = LIMITS.provisioning;
    assert.deepEqual(faults, [
      [2, "it has 1 cells, the first line has 2"],
      [3, "it has 3 cells, the first line has 2"],
      [4, 'a quote stands in the middle of a cell; write "a ""quoted"" word"'],
      [5, "something stands behind a closing quote"],
      [6, `it has more than ${bulkRowBytesMax} bytes`],
      [7, "A-6"],
      [8, `it has more than ${bulkRowBytesMax} bytes, or a quote is not closed`],
      [9, "A-8"],
      [10, "a quote is not closed"],
    ]);
  });

  test("bytes that are no UTF-8 are no device's name", async () => {
    const text = Buffer.concat([Buffer.from("Serial,Site\nM"), Buffer.of(0xfc), Buffer.from("ller,x\nA-1,north\n")]);
    assert.deepEqual(await read(text), [{ line: 2, fault: "it is not UTF-8" }, good(3, A1)]);
    const utf16 = Buffer.from("\uFEFFSerial,Site\nA,b\n", "utf16le");
    await assert.rejects(read(utf16), { code: "BULK_FILE_INVALID", message: /not UTF-8/ });
  });

  test("its columns are looked at before any line", async () => {
    for (const [text, says] of [
      ["", /it is empty/],
      ["Serial,,Site\n", /column 2 has no name/],
      ["Serial,Serial\n", /'Serial' is there twice/],
      ['"Serial,Site\nA-1,north\n', /first line.*quote is not closed/],
      [`${"x".repeat(100_000)}\n`, /first line.*more than/],
    ] as const)
      await assert.rejects(read(text), { code: "BULK_FILE_INVALID", message: says });
  });

  test("may hold any text in quotes", async () => {
    const cell = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
      .filter((text) => !text.includes("\uFFFD"));
    const table = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(table, fc.integer({ min: 1, max: 30 }), async (cells, size) => {
        const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const text = `a,b\n${cells.map((row) => row.map(quoted).join(",")).join("\r\n")}`;
        const rows = await read(text, "csv", size);
        assert.deepEqual(
          rows.map((row) => ("parameters" in row ? [row.parameters["a"], row.parameters["b"]] : row)),
          cells,
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe("an NDJSON file of devices", () => {
  test("has an object of texts per line; what is wrong is told by line", async () => {
    const lines = [
      '\uFEFF{"Serial":"A-1","Site":"north"}\r',
      "",
      "{",
      "[1]",
      '{"Serial":7}',
      `{"Serial":"${"x".repeat(1_000_000)}"}`,
      '{"__proto__":"x"}',
    ];
    const rows = await read(lines.join("\n"), "ndjson", 1000);
    assert.deepEqual(rows.slice(0, 5), [
      good(1, A1),
      { line: 3, fault: "it is not JSON" },
      { line: 4, fault: 'it is no object such as {"SerialNumber": "A-17"}' },
      { line: 5, fault: "'Serial' must be text, in quotes" },
      { line: 6, fault: `it has more than ${LIMITS.provisioning.bulkRowBytesMax} bytes` },
    ]);
    const last = rows[5]!;
    assert.ok("parameters" in last && Object.keys(last.parameters)[0] === "__proto__", "a name like any other");
  });
});

test("columns are the template's parameters", () => {
  const parameters = [
    { name: "SerialNumber", required: true },
    { name: "Site", required: false },
  ];
  assert.equal(columnFault(["SerialNumber"], parameters), null);
  assert.match(columnFault(["Site"], parameters)!, /column 'SerialNumber' is missing/);
  assert.match(columnFault(["SerialNumer", "Site"], parameters)!, /did you mean 'SerialNumber'/);
  assert.match(columnFault(["SerialNumber", "colour"], parameters)!, /it has SerialNumber, Site/);
});
