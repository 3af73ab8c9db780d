import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AwsClient } from "aws4fetch";
import { createHash, createHmac } from "node:crypto";
import { encodeUtf8 } from "../base/mod.ts";
import { CASES, SUITE } from "./signature-v4.cases.ts";
import type { SuiteCase } from "./signature-v4.cases.ts";
import { isSigned, parseSignature, signatureFault, verifySignature } from "./signature-v4.ts";
import type { Expected, SignatureHash, SignedRequest } from "./signature-v4.ts";

const hash: SignatureHash = {
  sha256: (data) => createHash("sha256").update(data).digest(),
  hmacSha256: (key, data) => createHmac("sha256", key).update(data).digest(),
};

const SECRET: string = SUITE.secret;
const EXPECTED: Expected = { services: ["service", "iot", "iotdata", "iotdevicegateway"], region: null, now: SUITE.at };

/** Everything that is looked at, in the order of the guard; "ok" or the kind of fault. */
function judge(request: SignedRequest, body: string | Uint8Array = "", expected = EXPECTED, secret = SECRET): string {
  if (!isSigned(request)) return "unsigned";
  const parsed = parseSignature(request);
  if ("kind" in parsed) return `${parsed.kind}: ${parsed.reason}`;
  const bytes = typeof body === "string" ? encodeUtf8(body) : body;
  const fault = signatureFault(parsed, expected, request) ?? verifySignature(parsed, request, bytes, secret, hash);
  return fault === null ? "ok" : `${fault.kind}: ${fault.reason}`;
}

function requestOf({ method, url, headers, signature }: SuiteCase): SignedRequest {
  const { keyId, region, service, host, stamp } = SUITE;
  const signed = [...Object.keys(headers), "host", "x-amz-date"].sort().join(";");
  const credential = `${keyId}/${stamp.slice(0, 8)}/${region}/${service}/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`;
  return { method, url, headers: { host, "x-amz-date": stamp, ...headers, authorization } };
}

describe("AWS's test suite", () => {
  for (const one of CASES) test(one.name, () => assert.equal(judge(requestOf(one), one.body), "ok"));
});

/** A request with a body as `aws4fetch` signs it. */
async function signed(
  url: string,
  init: { method?: string; body?: string; headers?: Record<string, string> } = {},
  service = "iot",
) {
  const client = new AwsClient({ accessKeyId: SUITE.keyId, secretAccessKey: SECRET, service, region: "eu-central-1" });
  const request = await client.sign(url, { ...init, aws: { datetime: SUITE.stamp, allHeaders: true } });
  const headers = { ...Object.fromEntries(request.headers), host: new URL(url).host };
  return {
    method: request.method,
    url: request.url.slice(new URL(url).origin.length),
    headers,
  } satisfies SignedRequest;
}

const BODY = '{"thingTypeName":"pump"}';
const make = () =>
  signed("https://tide.example:8443/things/a%2Fb?x=1&a=%20", {
    method: "POST",
    body: BODY,
    headers: { "content-type": "application/json", "x-amzn-principal": "arn:aws:iot:x" },
  });

describe("another signer (aws4fetch)", () => {
  test("a path with an encoded slash, a query, headers and a body", async () => {
    assert.equal(judge(await make(), BODY), "ok");
  });

  test("every byte of what was signed counts", async () => {
    const good = await make();
    const headers = (changes: Record<string, string>): SignedRequest => ({
      ...good,
      headers: { ...good.headers, ...changes },
    });
    const invalid = /^invalid: /;
    const altered: readonly (readonly [SignedRequest, string])[] = [
      [good, `${BODY} `],
      [good, ""],
      [{ ...good, method: "DELETE" }, BODY],
      [{ ...good, url: good.url.replace("a%2Fb", "a%2Fc") }, BODY],
      [{ ...good, url: good.url.replace("a%2Fb", "a/b") }, BODY],
      [{ ...good, url: good.url.replace("x=1", "x=2") }, BODY],
      [{ ...good, url: `${good.url}&y=1` }, BODY],
      [headers({ host: "elsewhere.example" }), BODY],
      [headers({ "x-amzn-principal": "arn:aws:iot:y" }), BODY],
      [headers({ "content-type": "text/plain" }), BODY],
      [headers({ "x-amz-date": "20150830T123601Z" }), BODY],
    ];
    for (const [request, body] of altered) assert.match(judge(request, body), invalid, JSON.stringify(request));
    assert.match(judge(good, BODY, EXPECTED, `${SECRET}x`), invalid);
  });

  test("a header of AWS's that was added on the way is refused; one that a load balancer adds is not", async () => {
    const good = await signed("https://tide.example/things");
    assert.equal(judge({ ...good, headers: { ...good.headers, "x-amzn-trace-id": "Root=1" } }), "ok");
    for (const name of ["x-amzn-principal", "x-amz-target"]) {
      assert.match(judge({ ...good, headers: { ...good.headers, [name]: "x" } }), /is not signed/);
    }
  });
});

describe("a presigned address for MQTT over WebSocket", () => {
  async function presigned(lifetime: number | null): Promise<SignedRequest> {
    const address = `https://tide.example/mqtt${lifetime === null ? "" : `?X-Amz-Expires=${lifetime}`}`;
    const client = new AwsClient({ accessKeyId: SUITE.keyId, secretAccessKey: SECRET, region: "eu-central-1" });
    const { url } = await client.sign(address, {
      aws: { service: "iotdevicegateway", signQuery: true, datetime: SUITE.stamp },
    });
    return { method: "GET", url: url.slice("https://tide.example".length), headers: { host: "tide.example" } };
  }

  test("good until it expires, and for nothing else", async () => {
    const request = await presigned(900);
    const at = (later: number): string => judge(request, "", { ...EXPECTED, now: SUITE.at + later });
    assert.equal(at(0), "ok");
    assert.equal(at(900_000), "ok");
    assert.match(at(900_001), /^expired: /);
    assert.match(at(-300_001), /^invalid: it is not yet current/);
    assert.match(judge({ ...request, url: request.url.replace("Expires=900", "Expires=901") }), /^invalid: another/);
    assert.match(judge({ ...request, url: `${request.url}&X-Amz-Security-Token=x` }), /temporary credentials/);
    assert.match(judge(request, "", { ...EXPECTED, services: ["iot"] }), /scoped to the service 'iotdevicegateway'/);
  });

  test("without a lifetime the minutes of any other signature; more than a week is refused", async () => {
    const plain = await presigned(null);
    assert.equal(judge(plain, "", { ...EXPECTED, now: SUITE.at + 300_000 }), "ok");
    assert.match(judge(plain, "", { ...EXPECTED, now: SUITE.at + 300_001 }), /^expired/);
    assert.equal(judge(await presigned(604_800)), "ok");
    assert.match(judge(await presigned(604_801)), /more than a week/);
  });
});

test("five minutes to either side; another region; another service", async () => {
  const request = await signed("https://tide.example/things/%C3%BC%20x?maxResults=5");
  const judged = (changes: Partial<Expected>): string => judge(request, "", { ...EXPECTED, ...changes });
  for (const skew of [-300_000, 0, 300_000]) assert.equal(judged({ now: SUITE.at + skew }), "ok");
  assert.match(judged({ now: SUITE.at + 300_001 }), /^expired/);
  assert.match(judged({ now: SUITE.at - 300_001 }), /^invalid/);
  assert.equal(judged({ region: "eu-central-1" }), "ok");
  assert.match(judged({ region: "us-east-1" }), /scoped to the region 'eu-central-1', not to us-east-1/);
  assert.match(judged({ services: ["s3"] }), /scoped to the service 'iot', not to s3/);
});

describe("what is no whole signature is told, and never verified", () => {
  const good = requestOf(CASES[0]!);
  const authorization = String(good.headers["authorization"]);
  const withAuthorization = (text: string): SignedRequest => ({
    ...good,
    headers: { ...good.headers, authorization: text },
  });
  const without = (name: string): SignedRequest => ({ ...good, headers: { ...good.headers, [name]: undefined } });
  for (const [title, request, says] of [
    ["no credential", withAuthorization(authorization.replace(/Credential=[^,]*, /, "")), /^incomplete: .*Credential/],
    [
      "no signed headers",
      withAuthorization(authorization.replace(/SignedHeaders=[^,]*, /, "")),
      /^incomplete: .*SignedHeaders/,
    ],
    ["no signature", withAuthorization(authorization.replace(/, Signature=.*/, "")), /^incomplete: .*Signature/],
    ["nothing but the algorithm", withAuthorization("AWS4-HMAC-SHA256"), /^incomplete/],
    ["no date", without("x-amz-date"), /^incomplete: .*x-amz-date/],
    ["a date of another form", { ...good, headers: { ...good.headers, "x-amz-date": "2015-08-30" } }, /^incomplete/],
    ["another day in the scope", withAuthorization(authorization.replace("20150830", "20150831")), /^invalid: the day/],
    [
      "a short scope",
      withAuthorization(authorization.replace("/service/aws4_request", "/aws4_request")),
      /^incomplete/,
    ],
    ["another end of the scope", withAuthorization(authorization.replace("aws4_request", "aws5_request")), /^invalid/],
    ["host not signed", withAuthorization(authorization.replace("host;", "")), /^invalid: the header host/],
    ["date not signed", withAuthorization(authorization.replace(";x-amz-date", "")), /^invalid: .*not signed/],
    [
      "headers out of order",
      withAuthorization(authorization.replace("host;x-amz-date", "x-amz-date;host")),
      /^invalid: SignedHeaders/,
    ],
    ["a header twice", withAuthorization(authorization.replace("host;", "host;host;")), /^invalid: SignedHeaders/],
    [
      "a thousand headers",
      withAuthorization(authorization.replace("host;", `host;${"i;".repeat(1000)}`)),
      /^incomplete/,
    ],
    [
      "a signature in capitals",
      withAuthorization(
        authorization
          .toUpperCase()
          .replace("CREDENTIAL", "Credential")
          .replace("SIGNEDHEADERS", "SignedHeaders")
          .replace("SIGNATURE", "Signature"),
      ),
      /^i/,
    ],
    ["temporary credentials", { ...good, headers: { ...good.headers, "x-amz-security-token": "x" } }, /temporary/],
    [
      "an unsigned body",
      { ...good, headers: { ...good.headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } },
      /^invalid/,
    ],
    ["a query with half a signature", { ...good, headers: { host: "h" }, url: "/?X-Amz-Signature=0" }, /^incomplete/],
    [
      "a query parameter twice",
      { ...good, headers: { host: "h" }, url: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Algorithm=none" },
      /^incomplete: .*twice/,
    ],
  ] as const satisfies readonly (readonly [string, SignedRequest, RegExp])[]) {
    test(title, () => assert.match(judge(request), says));
  }

  test("a bearer token and a plain request are not signed", () => {
    assert.equal(judge({ ...good, headers: { authorization: "Bearer x" } }), "unsigned");
    assert.equal(judge({ ...good, headers: {}, url: "/things?maxResults=5" }), "unsigned");
  });
});
