import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { ArchiveWorld, START, event } from "./archive.fixture.ts";

/** The archive is not ours alone: what DuckDB wrote, a reader that has nothing in common with it reads the same. */
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("the archive's files are read by another Parquet reader, every column of every message", async (context) => {
  const world = await ArchiveWorld.make();
  context.after(() => world.end());
  const binary = new Uint8Array([0xff, 0x00, 0x80]);
  world.log.append(event(1));
  world.log.append(event(2, { payload: binary, thing: null, retain: true, qos: 2 }));
  world.log.append(
    event(3, {
      payload: utf8("grüße"),
      properties: {
        contentType: "text/plain",
        responseTopic: "answers/3",
        correlationData: new Uint8Array([1, 2, 3]),
        userProperties: [
          ["unit", "°C"],
          ["unit", "K"],
        ],
      },
    }),
  );
  await world.open();
  await world.flush();
  const [file, ...others] = readdirSync(world.folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".parquet"),
  );
  assert.deepEqual(others, []);
  const rows = await parquetReadObjects({
    file: await asyncBufferFromFile(join(world.folder, file!)),
    utf8: false,
    compressors: { ZSTD: (input) => new Uint8Array(zstdDecompressSync(input)) },
  });
  assert.equal(rows.length, 3);
  const [plain, bytes, rich] = rows as [Row, Row, Row];
  assert.deepEqual(
    rows.map((row) => [
      Number(row["offset"]),
      (row["time"] as Date).getTime(),
      row["topic"],
      row["qos"],
      row["retain"],
    ]),
    [
      [0, START + 1, "line/1/press", 1, false],
      [1, START + 2, "line/2/press", 2, true],
      [2, START + 3, "line/0/press", 1, false],
    ],
  );
  assert.deepEqual(
    [plain["client"], plain["thing"], plain["text"], plain["payload"]],
    ["client-1", "press-1", '{"n":1}', null],
  );
  assert.deepEqual([bytes["thing"], bytes["text"]], [null, null]);
  assert.deepEqual(bytes["payload"], binary);
  assert.equal(rich["text"], "grüße");
  assert.equal(rich["content_type"], "text/plain");
  assert.equal(rich["response_topic"], "answers/3");
  assert.deepEqual(rich["correlation"], new Uint8Array([1, 2, 3]));
  assert.deepEqual(rich["user_properties"], [
    { name: "unit", value: "°C" },
    { name: "unit", value: "K" },
  ]);
});

type Row = Record<string, unknown>;
