import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTidewireError } from "../../base/mod.ts";
import { nameOfServer, parsePostgresUrl } from "./server-url.ts";

describe("a PostgreSQL URL", () => {
  test("names server, user and database; between machines the certificate is checked unless told otherwise", () => {
    const address = parsePostgresUrl("postgres://tide%40wire@db.example:6432/plant%201?schema=a_1&passwordfile=/p");
    const { caFile, certificateFile, keyFile, ...told } = address;
    assert.deepEqual([caFile, certificateFile, keyFile], [null, null, null]);
    assert.deepEqual(told, {
      host: "db.example",
      port: 6432,
      user: "tide@wire",
      database: "plant 1",
      schema: "a_1",
      tls: "verify-full",
      passwordFile: "/p",
      password: null,
    });
    const near = [
      "postgresql://u@localhost/d",
      "postgres://u@127.0.0.1/d",
      "postgres://u@[::1]/d",
      "postgres://u@x/d?host=/run",
    ];
    for (const url of near) assert.equal(parsePostgresUrl(url).tls, "disable", url);
    assert.equal(parsePostgresUrl("postgres://u@h/d?sslmode=require").tls, "require");
  });

  test("is shown without its password", () => {
    const address = parsePostgresUrl("postgres://u:secret@[2001:db8::1]/d");
    assert.equal(address.password, "secret");
    assert.equal(nameOfServer(address), "postgres://u@[2001:db8::1]:5432/d");
    assert.equal(nameOfServer(parsePostgresUrl("postgres://u@x:1/d?host=/run/pg")), "postgres://u@/run/pg:1/d");
  });

  const wrong: readonly (readonly [url: string, says: RegExp])[] = [
    ["mysql://u:secret@h/d", /begin with postgres/],
    ["postgres://h/d", /a user and a database/],
    ["postgres://u:secret@h", /a user and a database/],
    ["postgres://u:secret@h:99999/d", /cannot be read/],
    ["postgres://u:secret@h/d?sslmod=require", /'sslmod' is no parameter/],
    ["postgres://u:secret@h/d?sslmode=prefer", /'sslmode' must be one of/],
    ["postgres://u:secret@h/d?schema=a;DROP SCHEMA b", /a schema is named/],
    ["postgres://u:secret@h/d?schema=A", /a schema is named/],
  ];
  for (const [url, says] of wrong) {
    test(`is refused without showing its password: ${url.replace("secret", "…")}`, () => {
      assert.throws(
        () => parsePostgresUrl(url),
        (error) =>
          isTidewireError(error) &&
          error.code === "POSTGRES_URL_INVALID" &&
          says.test(error.message) &&
          !error.message.includes("secret"),
      );
    });
  }
});
