import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { LIMITS, isTidewireError, mib } from "../../base/mod.ts";
import { bytesOf, hasCode, keysOf, objectsContract, sourceOf } from "./objects.contract.ts";
import { credentialsFrom } from "./s3-credentials.ts";
import { FaultyS3, refuse } from "./s3.fixture.ts";
import type { Fault } from "./s3.fixture.ts";

let server: FaultyS3;
before(async () => {
  server = await FaultyS3.start();
});
afterEach(() => {
  server.fault = () => "pass";
});
after(() => server.stop());

/** The first `times` requests that `which` takes meet `fault`. */
function first(times: number, fault: Fault, which: (method: string, url: string) => boolean = () => true): Fault {
  let left = times;
  return (request, response) => {
    if (left === 0 || !which(request.method ?? "", request.url ?? "")) return "pass";
    left--;
    return fault(request, response);
  };
}

describe("an S3-compatible bucket", () => {
  objectsContract(() => server.objects());

  test("keys lie below the prefix", async () => {
    await server.objects().put("where", sourceOf(Buffer.from("x")));
    assert.deepEqual(await keysOf(server.objects({ prefix: "" }), "plant/7/where"), ["plant/7/where"]);
  });

  test("500, 503 SlowDown, 429 and cut connections are tried again until it is there", async () => {
    const faults: readonly Fault[] = [
      (_, response) => refuse(response, 500, "InternalError"),
      (_, response) => refuse(response, 503, "SlowDown"),
      (_, response) => refuse(response, 429, "TooManyRequests"),
      (request) => {
        request.socket.destroy();
        return "done";
      },
    ];
    for (const fault of faults) {
      const bytes = randomBytes(1000);
      server.fault = first(2, fault);
      await server.objects().put("tried", sourceOf(bytes));
      server.fault = first(2, fault);
      assert.ok(bytes.equals(await bytesOf(server.objects().get("tried"))));
    }
  });

  test("an upload in parts outlives faults of every step, and 200 with an error inside is one", async () => {
    const bytes = randomBytes(mib(12));
    const slow: Fault = (_, response) => refuse(response, 503, "SlowDown");
    const odd: Fault = (_, response) => refuse(response, 200, "InternalError");
    const steps: readonly (readonly [Fault, (method: string, url: string) => boolean])[] = [
      [slow, (method, url) => method === "POST" && url.includes("uploads")],
      [slow, (method) => method === "PUT"],
      [slow, (method, url) => method === "POST" && url.includes("uploadId")],
      [odd, (method, url) => method === "POST" && url.includes("uploadId")],
    ];
    for (const [fault, which] of steps) {
      server.fault = first(1, fault, which);
      await server.objects().put("parts", sourceOf(bytes));
      assert.ok(bytes.equals(await bytesOf(server.objects().get("parts"))));
    }
  });

  test("an upload that cannot be ended is given up, and its parts with it", async () => {
    server.requests.length = 0;
    server.fault = (request, response) =>
      request.method === "PUT" && (request.url ?? "").includes("partNumber=2")
        ? refuse(response, 403, "AccessDenied")
        : "pass";
    await assert.rejects(server.objects().put("given-up", sourceOf(randomBytes(mib(12)))), hasCode("OBJECTS_REFUSED"));
    assert.equal(server.requests.at(-1), "DELETE /archive/plant/7/given-up");
    assert.equal(await server.objects().facts("given-up"), null);
  });

  test("a download that is cut goes on where it ended", async () => {
    const bytes = randomBytes(mib(2));
    await server.objects().put("cut", sourceOf(bytes));
    server.requests.length = 0;
    server.fault = first(
      3,
      () => "cut-answer",
      (method) => method === "GET",
    );
    assert.ok(bytes.equals(await bytesOf(server.objects().get("cut"))));
    assert.equal(server.requests.length, 4);
  });

  test("bytes that are changed on the way are refused by the server, and sent again", async () => {
    const small = Buffer.from("a measured value");
    const large = randomBytes(mib(7));
    for (const bytes of [small, large]) {
      server.requests.length = 0;
      server.fault = first(
        1,
        () => "damage-on-the-way",
        (method) => method === "PUT",
      );
      await server.objects().put("changed", sourceOf(bytes));
      assert.ok(bytes.equals(await bytesOf(server.objects().get("changed"))));
      assert.ok(server.requests.filter((one) => one.startsWith("PUT")).length >= 2);
    }
  });

  test("a server that stays away is OBJECTS_UNAVAILABLE, after as many attempts as are allowed", async () => {
    server.requests.length = 0;
    server.fault = (_, response) => refuse(response, 503, "SlowDown");
    await assert.rejects(server.objects().put("never", sourceOf(Buffer.from("x"))), hasCode("OBJECTS_UNAVAILABLE"));
    assert.equal(server.requests.length, LIMITS.archive.objectAttemptsMax);
    const nobody = server.objects({ endpoint: "http://127.0.0.1:9" });
    await assert.rejects(nobody.facts("x"), hasCode("OBJECTS_UNAVAILABLE"));
  });

  test("wrong credentials, no rights and no bucket are OBJECTS_REFUSED at once, and no secret is told", async () => {
    server.requests.length = 0;
    const wrong = server.objects({
      credentials: async () => ({ accessKeyId: "S3RVER", secretAccessKey: "hunter2hunter2" }),
    });
    await assert.rejects(wrong.put("x", sourceOf(Buffer.from("x"))), (error) => {
      assert.ok(isTidewireError(error) && error.code === "OBJECTS_REFUSED");
      assert.match(error.message, /SignatureDoesNotMatch/);
      assert.doesNotMatch(`${error.message} ${JSON.stringify(error.details)} ${error.stack}`, /hunter2/);
      return true;
    });
    await assert.rejects(
      server.objects({ bucket: "nobodys" }).put("x", sourceOf(Buffer.from("x"))),
      hasCode("OBJECTS_REFUSED"),
    );
    assert.equal(server.requests.length, 2);
  });
});

describe("a refusal says what it means, and what helps", () => {
  const one = sourceOf(Buffer.from("x"));
  type Try = (objects: ReturnType<FaultyS3["objects"]>) => Promise<unknown>;
  const head: Try = (objects) => objects.facts("x");
  const cases: readonly (readonly [name: string, status: number, xml: string, ask: Try, says: RegExp])[] = [
    [
      "no right to look",
      403,
      "<Code>AccessDenied</Code>",
      head,
      /AccessDenied.*s3:GetObject on arn:aws:s3:::archive\/plant\/7\/\*, and s3:ListBucket on arn:aws:s3:::archive /,
    ],
    ["no right to look, and no word", 403, "", head, /status 403: .*s3:GetObject/],
    ["no right to read", 403, "<Code>AccessDenied</Code>", (objects) => bytesOf(objects.get("x")), /s3:GetObject/],
    [
      "no right to list",
      403,
      "<Code>AccessDenied</Code>",
      (objects) => keysOf(objects, ""),
      /need s3:ListBucket on arn:aws:s3:::archive\.$/,
    ],
    ["no right to write", 403, "<Code>AccessDenied</Code>", (objects) => objects.put("x", one), /need s3:PutObject on/],
    [
      "no right for its acl",
      403,
      "<Code>AccessDenied</Code>",
      (objects) => objects.put("x", { ...one, acl: "public-read" }),
      /s3:PutObject and s3:PutObjectAcl/,
    ],
    ["no right to remove", 403, "<Code>AccessDenied</Code>", (objects) => objects.remove("x"), /s3:DeleteObject/],
    [
      "another region",
      301,
      "<Code>PermanentRedirect</Code>",
      head,
      /PermanentRedirect: the bucket is in region eu-north-1, and us-east-1 was asked/,
    ],
    [
      "another region, by its signature",
      400,
      "<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region>",
      (objects) => objects.put("x", one),
      /in region eu-west-3/,
    ],
    [
      "a wrong clock",
      403,
      "<Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-23T01:00:00Z</ServerTime>",
      head,
      /clock is wrong: it is 2026-11-23T01:00:00Z there/,
    ],
    ["an unknown key", 403, "<Code>InvalidAccessKeyId</Code>", head, /does not know the id of the access key/],
    ["an old token", 400, "<Code>ExpiredToken</Code>", (objects) => objects.put("x", one), /session token is over/],
    [
      "something else",
      409,
      "<Code>OperationAborted</Code><Message>Why not.</Message>",
      (objects) => objects.put("x", one),
      /: OperationAborted \(Why not\.\)\.$/,
    ],
  ];
  for (const [name, status, xml, ask, says] of cases) {
    test(name, async () => {
      server.fault = (_, response) => {
        const region = status === 301 ? { "x-amz-bucket-region": "eu-north-1" } : {};
        response.writeHead(status, { "content-type": "application/xml", ...region });
        response.end(xml === "" ? "" : `<?xml version="1.0"?><Error>${xml}</Error>`);
        return "done";
      };
      await assert.rejects(ask(server.objects()), (error) => {
        assert.ok(isTidewireError(error) && error.code === "OBJECTS_REFUSED");
        assert.match(error.message, says);
        return true;
      });
    });
  }

  test("no bucket of that name, and a wrong secret, of the real server", async () => {
    const nowhere = server.objects({ bucket: "nobodys" });
    await assert.rejects(nowhere.put("x", one), /NoSuchBucket.*there is no bucket 'nobodys' at this endpoint/);
    const wrong = server.objects({ credentials: async () => ({ accessKeyId: "S3RVER", secretAccessKey: "other" }) });
    await assert.rejects(wrong.facts("x"), /SignatureDoesNotMatch.*secret access key is not that of the id/);
  });
});

describe("credentials", () => {
  test("come from the default section of a file, or from the environment", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-credentials-"));
    const file = join(folder, "credentials");
    writeFileSync(
      file,
      "[other]\naws_access_key_id = no\n\n[default]\naws_access_key_id = AKIA1\r\naws_secret_access_key=s/e=c\n",
    );
    assert.deepEqual(await credentialsFrom(file, {}), { accessKeyId: "AKIA1", secretAccessKey: "s/e=c" });
    const environment = { AWS_ACCESS_KEY_ID: "A", AWS_SECRET_ACCESS_KEY: "B", AWS_SESSION_TOKEN: "C" };
    assert.deepEqual(await credentialsFrom(null, environment), {
      accessKeyId: "A",
      secretAccessKey: "B",
      sessionToken: "C",
    });
    await assert.rejects(credentialsFrom(null, {}), hasCode("OBJECTS_REFUSED"));
    await assert.rejects(credentialsFrom(join(folder, "none"), environment), hasCode("OBJECTS_REFUSED"));
    rmSync(folder, { recursive: true });
  });
});
