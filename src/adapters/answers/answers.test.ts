import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import protobuf from "protobufjs";
import { SimLogger } from "../../../sim/world.ts";
import type { JsonObject } from "../../base/mod.ts";
import { FileTable } from "./file-table.ts";
import { FunctionProgram } from "./function-program.ts";
import { openProtobufFolder } from "./protobuf-folder.ts";
import { csvRows, jsonRows } from "./rows.ts";
import { readSecret } from "./secret-source.ts";

let folder = "";
before(() => (folder = mkdtempSync(join(tmpdir(), "tidewire-answers-"))));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  return path;
}

describe("rows of a file", () => {
  const CSV: readonly (readonly [text: string, rows: readonly JsonObject[] | RegExp])[] = [
    [
      "id,name\na,Ann\nb,Ben\n",
      [
        { id: "a", name: "Ann" },
        { id: "b", name: "Ben" },
      ],
    ],
    ["\ufeffid, name \r\na,Ann\r\n\r\nb,\r\n", [{ id: "a", name: "Ann" }, { id: "b" }]],
    ['id,text\n1,"a, ""b""\nc"\n2,""', [{ id: 1, text: 'a, "b"\nc' }, { id: 2 }]],
    [
      "id,n\n007,1e3\n-1,0.5\n1.50,true",
      [
        { id: "007", n: "1e3" },
        { id: -1, n: 0.5 },
        { id: "1.50", n: true },
      ],
    ],
    ["id,__proto__\na,x", [JSON.parse('{"id":"a","__proto__":"x"}') as JsonObject]],
    ["id,n\n12345678901234567890,Infinity", [{ id: "12345678901234567890", n: "Infinity" }]],
    ["id\na,b", /row 2 has 2 cells, and there are 1 columns/],
    ["id,id\n1,2", /column 'id' is there twice/],
    ["id,\n1,2", /column 2 has no name/],
    ['id\n"a', /a quote is not closed/],
    ['id\n"a"b', /behind a closing quote/],
    ["", /it is empty/],
  ];
  for (const [text, expected] of CSV) {
    test(JSON.stringify(text), () => {
      if (expected instanceof RegExp) assert.throws(() => [...csvRows(text)], expected);
      else assert.deepEqual([...csvRows(text)], expected);
    });
  }

  test("JSON: an array of objects, or an object of them by key", () => {
    assert.deepEqual([...jsonRows('[{"id":1}]', "id")], [{ id: 1 }]);
    assert.deepEqual([...jsonRows('{"a":{"n":1}}', "id")], [{ id: "a", n: 1 }]);
    assert.throws(() => [...jsonRows("[1]", "id")], /row 1 is not an object/);
    assert.throws(() => [...jsonRows("5", "id")], /neither/);
  });
});

describe("a table in a file", () => {
  const tableOf = (path: string, more: object = {}) => {
    const logger = new SimLogger();
    let failures = 0;
    const failed = (): void => void failures++;
    const options = { name: "t", file: path, key: "id", sort: null, bytesMax: 1_000, rowsMax: 5, logger, failed };
    return { table: new FileTable({ ...options, ...more }), logger, failures: () => failures };
  };

  test("is found by its key, whatever the type, and read again when it changes", async () => {
    const path = file("devices.csv", "id,site\n5,north\npi-1,south\n");
    const { table } = tableOf(path);
    assert.deepEqual(await table.row("5", null), { id: 5, site: "north" });
    assert.equal(await table.row("constructor", null), undefined);
    file("devices.csv", "id,site\npi-1,west\nmore,east\n");
    await table.look();
    assert.deepEqual(await table.row("pi-1", null), { id: "pi-1", site: "west" });
    assert.equal(await table.row("5", null), undefined);
  });

  test("that becomes wrong stays as it was, and says why, once", async () => {
    const path = file("sites.json", '[{"id":"a","n":1}]');
    const { table, logger, failures } = tableOf(path);
    await table.look();
    for (const [text, reason] of [
      ['[{"id":"a"},{"id":"a"}]', /row 2 has the key 'a' of another row/],
      ['[{"n":1}]', /row 1 has nothing in its key column 'id'/],
      [JSON.stringify(Array.from({ length: 6 }, (_, id) => ({ id }))), /more than 5 rows/],
      [`["${"x".repeat(1_000)}"]`, /bytes, and 1000 are allowed/],
      ["[", /JSON/],
    ] as const) {
      const told = failures();
      file("sites.json", text);
      await table.look();
      await table.look();
      assert.equal(failures(), told + 1);
      assert.match(JSON.stringify(logger.lines.at(-1)), reason);
      assert.deepEqual(await table.row("a", null), { id: "a", n: 1 });
    }
  });

  test("that is not there says so, until it is", async () => {
    const { table } = tableOf(join(folder, "late.csv"));
    await assert.rejects(table.row("a", null), /the table 't' cannot be read: ENOENT/);
    file("late.csv", "id\na\n");
    assert.deepEqual(await table.row("a", null), { id: "a" });
  });

  test("may have a second key", async () => {
    const { table } = tableOf(file("limits.csv", "id,kind,max\na,t,1\na,p,2\n"), { sort: "kind" });
    assert.deepEqual(await table.row("a", "p"), { id: "a", kind: "p", max: 2 });
    assert.equal(await table.row("a", "x"), undefined);
  });
});

describe("a secret", () => {
  test("is read from a file that only its owner and group may read, or from the environment", async () => {
    const path = file("key", "hunter2\n");
    assert.equal(Buffer.from(await readSecret({ file: path }, 100)).toString(), "hunter2\n");
    for (const mode of [0o644, 0o622, 0o601]) {
      chmodSync(path, mode);
      await assert.rejects(readSecret({ file: path }, 100), /others must not read it: chmod 640/);
    }
    await assert.rejects(readSecret({ file: file("long", "x".repeat(101)) }, 100), /101 bytes, and 100 are allowed/);
    process.env["TIDEWIRE_TEST_SECRET"] = "from the environment";
    assert.equal(
      Buffer.from(await readSecret({ env: "TIDEWIRE_TEST_SECRET" }, 100)).toString(),
      "from the environment",
    );
    delete process.env["TIDEWIRE_TEST_SECRET"];
    await assert.rejects(readSecret({ env: "TIDEWIRE_TEST_SECRET" }, 100), /is not set/);
  });
});

describe("a function that is a program", () => {
  const PROGRAM = `#!${process.execPath}
    let count = 0;
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const { id, input, base64 } = JSON.parse(line);
      count++;
      const say = (more) => console.log(JSON.stringify({ id, ...more }));
      if (input === "hang") return;
      if (input === "end") return process.exit(3);
      if (input === "fail") return say({ error: "no such thing" });
      if (input === "chatter") console.log("hello\\n{\\"id\\":99}");
      if (input === "endless") return process.stdout.write("x".repeat(5_000));
      if (input === "late") return void setTimeout(() => say({ output: "late" }), 100);
      if (input === "secrets") return say({ output: Object.keys(process.env).filter((name) => name.startsWith("TIDEWIRE")) });
      say({ output: base64 === undefined ? { input, count } : base64 });
    });`;
  const programFor = (context: TestContext): FunctionProgram => {
    const path = file("program", PROGRAM, 0o700);
    const program = new FunctionProgram({ path, arguments: [], answerBytesMax: 1_000 });
    context.after(() => program.close());
    return program;
  };

  test("answers line by line, in any order, and keeps running", async (context) => {
    const program = programFor(context);
    const answers = await Promise.all(["late", 1, new Uint8Array([1, 2])].map((input) => program.call(input, 10_000)));
    assert.deepEqual(answers, ["late", { input: 1, count: 2 }, "AQI="]);
    assert.deepEqual(await program.call("chatter", 10_000), { input: "chatter", count: 4 });
    await assert.rejects(program.call("fail", 10_000), /no such thing/);
    assert.deepEqual(await program.call(2, 10_000), { input: 2, count: 6 });
  });

  test("that ends, hangs or talks too much fails, and is started anew; it gets nothing of our environment", async (context) => {
    const program = programFor(context);
    await assert.rejects(program.call("end", 10_000), /it ended with status 3/);
    assert.deepEqual(await program.call(1, 10_000), { input: 1, count: 1 });
    await assert.rejects(program.call("hang", 50), /no answer within 0.05 s/);
    assert.deepEqual(await program.call(1, 10_000), { input: 1, count: 1 }, "a new one");
    await assert.rejects(program.call("endless", 10_000), /a line of more than 1000 characters/);
    process.env["TIDEWIRE_TEST_SECRET"] = "x";
    assert.deepEqual(await program.call("secrets", 10_000), []);
    delete process.env["TIDEWIRE_TEST_SECRET"];
    await assert.rejects(
      new FunctionProgram({ path: join(folder, "none"), arguments: [], answerBytesMax: 1 }).call(1, 1_000),
      /ENOENT/,
    );
  });
});

describe("protobuf", () => {
  const PROTO = `syntax = "proto3"; package plant;
    message Reading { double value = 1; int64 at = 2; Kind kind = 3; bytes raw = 4; string unit_name = 5; }
    enum Kind { UNKNOWN = 0; HEAT = 1; }`;

  test("messages become ProtoJSON, by a .proto file or a descriptor set, below a bucket or not", async () => {
    const { root } = protobuf.parse(PROTO);
    const type = root.lookupType("plant.Reading");
    const bytes = type
      .encode(type.fromObject({ value: 21.5, at: "9007199254740993", kind: "HEAT", raw: "AQI=", unitName: "C" }))
      .finish();
    mkdirSync(join(folder, "bucket"));
    file("bucket/reading.proto", PROTO);
    await import("protobufjs/ext/descriptor.js");
    const set = (root as unknown as { toDescriptor(edition: string): object }).toDescriptor("proto3");
    const { default: descriptor } = await import("protobufjs/ext/descriptor.js");
    file("reading.desc", descriptor.FileDescriptorSet.encode(set).finish());
    const decode = (await openProtobufFolder({ folder, bytesMax: 10_000, filesMax: 1 }))!;
    const expected = { value: 21.5, at: "9007199254740993", kind: "HEAT", raw: "AQI=", unitName: "C" };
    const place = { bucket: "bucket", file: "reading.proto", message: "plant.Reading" };
    assert.deepEqual(decode(bytes, { ...place, key: "reading.proto" }), expected);
    assert.deepEqual(decode(bytes, { ...place, key: "reading.desc", message: "Reading" }), expected);
    assert.equal(decode(bytes, { ...place, key: "none.desc" }), undefined);
    assert.equal(
      decode(bytes, { ...place, bucket: "..", key: "../../etc/passwd" }),
      undefined,
      "never out of the folder",
    );
    assert.throws(() => decode(bytes, { ...place, key: "reading.proto", message: "None" }), /None/);
    assert.throws(() => decode(Uint8Array.of(0xff), { ...place, key: "reading.proto" }));
  });
});
