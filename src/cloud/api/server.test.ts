import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { CONTENT_SECURITY_POLICY } from "../../../test/browser/fake-platform.ts";
import { LIMITS } from "../../base/mod.ts";
import { TOKEN, apiWorld } from "./api.fixture.ts";
import type { Answer, ApiWorld, Method } from "./api.fixture.ts";
import type { ApiError } from "./contract.ts";

/** What needs no login, and why each may. */
const PUBLIC: readonly string[] = [
  "GET /healthz", // that the process lives
  "HEAD /healthz",
  "GET /readyz", // one word
  "HEAD /readyz",
  "POST /api/session", // logging in
  "POST /api/invitation", // whose it is, for who holds its code
  "DELETE /api/session", // logging out what is logged in
  "POST /api/join", // a new device, by its join code
  "GET /api/join/trust", // the CA that it is to trust, checked by what the code says of it
  "HEAD /api/join/trust",
  "GET /*", // the dashboard's own files
  "HEAD /*",
  "GET /crl", // serial numbers of revoked certificates, for who checks ours
  "HEAD /crl",
  "GET /crl.pem",
  "HEAD /crl.pem",
  "GET /crl/:keyId",
  "HEAD /crl/:keyId",
  "GET /.well-known/est/cacerts", // the CAs' certificates
  "HEAD /.well-known/est/cacerts",
  "GET /.well-known/est/csrattrs",
  "HEAD /.well-known/est/csrattrs",
  "POST /.well-known/est/simpleenroll", // a code, or a device's certificate
  "POST /.well-known/est/simplereenroll",
  "POST /.well-known/tidewire/renewal", // the same
  "GET /pictures/:id/chart.png", // a signature in the address
  "HEAD /pictures/:id/chart.png",
  "GET /api/registration-tasks/:taskId/reports/:type", // the same
  "HEAD /api/registration-tasks/:taskId/reports/:type",
  "GET /in/:name", // the form of an endpoint
  "HEAD /in/:name",
  "POST /in/:name", // the endpoint's own token
];

function assertError(answer: Answer, status: number, code: string, awsException?: string): void {
  assert.equal(answer.status, status, answer.text);
  const error = answer.json as ApiError;
  assert.deepEqual(Object.keys(error).sort(), ["code", "fix", "message"], answer.text);
  assert.equal(error.code, code);
  assert.match(error.message, /^[A-Z].*\.$/s);
  assert.match(error.fix, /\S/);
  assert.doesNotMatch(answer.text, /node_modules|\n\s+at |\.ts:\d|\{\w+\}/, "no stack, no path, no unfilled text");
  if (awsException !== undefined) assert.equal(answer.headers["x-amzn-errortype"], awsException);
}

async function logIn(world: ApiWorld): Promise<string> {
  const answer = await world.askAs({}, "POST", "/api/session", { token: TOKEN });
  assert.equal(answer.status, 204, answer.text);
  return /^(tw_session=[^;]+)/.exec(String(answer.headers["set-cookie"]))![1]!;
}

function path(url: string): string {
  return url.replace(/:[a-zA-Z]+/g, "some-name").replace("*", "nothing.js");
}

test("every route but the named public ones answers 401 without a token, with a wrong one, with a session that ended", async () => {
  await using world = await apiWorld();
  const ended = await logIn(world);
  await world.askAs({ cookie: ended }, "DELETE", "/api/session");
  const strangers: readonly Record<string, string>[] = [
    {},
    { authorization: "Bearer tw_wrong" },
    { authorization: `Basic ${Buffer.from(`administrator:${TOKEN}`).toString("base64")}` },
    { authorization: `Bearer ${TOKEN}x` },
    { cookie: ended },
    { cookie: "tw_session=" },
    { cookie: `tw_session=${TOKEN}` },
  ];
  const guarded = world.api.routes.filter(({ method, url }) => !PUBLIC.includes(`${method} ${url}`));
  assert.ok(guarded.length > 45, `${guarded.length} routes`);
  assert.equal(world.api.routes.length - guarded.length, PUBLIC.length, "every public route is there");
  for (const { method, url } of guarded) {
    for (const headers of strangers) {
      const answer = await world.askAs(headers, method as Method, path(url));
      assert.equal(answer.status, 401, `${method} ${url} ${JSON.stringify(headers)}: ${answer.text}`);
      if (method !== "HEAD") assertError(answer, 401, "UNAUTHORIZED", "UnauthorizedException");
    }
  }
});

test("every route states the permission it needs, and the public ones are those named here", async () => {
  await using world = await apiWorld();
  const forgotten = world.api.routes.filter(({ permission }) => permission === null);
  assert.deepEqual(forgotten, []);
  const open = world.api.routes.filter(({ permission }) => permission === "public");
  assert.deepEqual(new Set(open.map(({ method, url }) => `${method} ${url}`)), new Set(PUBLIC));
});

test("every registered route stands in the contract's head comment, and the other way round", async () => {
  await using world = await apiWorld();
  const text = readFileSync(join(import.meta.dirname, "contract.ts"), "utf8").split("import type")[0]!;
  const promised = [...text.matchAll(/^ \* {3}([A-Z|]+) +(\/\S*?)(?=[?\s]|$)/gm)].flatMap((match) =>
    match[1]!.split("|").map((method) => `${method === "WS" ? "GET" : method} ${match[2]!}`),
  );
  const served = world.api.routes
    .filter(({ method, url }) => method !== "HEAD" && url !== "/*")
    .map(({ method, url }) => `${method} ${url}`);
  assert.deepEqual(served.sort(), promised.sort());
});

test("a cookie works for our own pages, and for no other web site's", async () => {
  await using world = await apiWorld();
  const cookie = await logIn(world);
  const host = "127.0.0.1:8080";
  const own = [
    {},
    { origin: "http://127.0.0.1:8080" },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "none" },
  ];
  for (const headers of own) {
    const answer = await world.askAs({ cookie, host, ...headers }, "GET", "/api/health");
    assert.equal(answer.status, 200, JSON.stringify(headers));
  }
  const foreign = [
    { origin: "http://evil.example" },
    { origin: "http://127.0.0.1:3000" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ];
  for (const headers of foreign) {
    for (const [method, url] of [
      ["GET", "/api/health"],
      ["POST", "/api/alerts/x/acknowledge"],
      ["DELETE", "/things/pump"],
    ] as const) {
      const answer = await world.askAs({ cookie, host, ...headers }, method, url);
      assertError(answer, 403, "FORBIDDEN_ORIGIN", "UnauthorizedException");
    }
  }
  assert.equal(await counted(world, `tidewire_http_refusals_total{code="FORBIDDEN_ORIGIN"}`), foreign.length * 3);
});

test("another site can neither log a browser in or out, nor use up its log-ins", async () => {
  await using world = await apiWorld();
  const headers = { origin: "http://evil.example", host: "127.0.0.1:8080" };
  for (let i = 0; i <= LIMITS.http.loginsPerMinuteMax; i++) {
    assertError(await world.askAs(headers, "POST", "/api/session", { token: "x" }), 403, "FORBIDDEN_ORIGIN");
  }
  const cookie = await logIn(world);
  assertError(await world.askAs({ ...headers, cookie }, "DELETE", "/api/session"), 403, "FORBIDDEN_ORIGIN");
  assert.equal((await world.askAs({ cookie }, "GET", "/api/session")).status, 200);
});

test("DNS rebinding: the plain listener answers to its own names only", async () => {
  await using world = await apiWorld();
  for (const host of ["127.0.0.1:8080", "127.8.0.1", "localhost", "LOCALHOST:1", "[::1]:8080", "Tide.Example"]) {
    assert.equal((await world.askAs({ host }, "GET", "/healthz")).status, 200, host);
  }
  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:8080",
    "10.0.0.1",
    "a b",
    "@",
    "evil.example@localhost",
    "x".repeat(300),
  ]) {
    for (const url of ["/", "/healthz", "/api/session", "/api/health", "/nowhere"]) {
      const answer = await world.askAs({ host, authorization: `Bearer ${TOKEN}` }, "GET", url);
      if (host === "evil.example@localhost") assert.ok([200, 401, 404, 421].includes(answer.status));
      else assertError(answer, 421, "HOST_UNKNOWN");
    }
  }
});

test("log-ins are few per minute, by token and by code alike; the answer says so", async () => {
  await using world = await apiWorld();
  for (let i = 0; i < LIMITS.http.loginsPerMinuteMax; i++) {
    const body = i % 2 === 0 ? { token: "tw_wrong" } : { code: "guessed" };
    const answer = await world.askAs({}, "POST", "/api/session", body);
    assertError(answer, 401, i % 2 === 0 ? "UNAUTHORIZED" : "LOGIN_CODE_INVALID");
  }
  const answer = await world.askAs({}, "POST", "/api/session", { token: TOKEN });
  assertError(answer, 429, "TOO_MANY_REQUESTS", "ThrottlingException");
  assert.ok(Number(answer.headers["retry-after"]) > 0);
  assert.equal(world.logger.lines.filter((line) => /log-in/.test(line.message)).length, LIMITS.http.loginsPerMinuteMax);
  assert.doesNotMatch(JSON.stringify(world.logger.lines), /tw_wrong|guessed/, "what was tried is not in the log");
  assert.equal((await world.ask("GET", "/api/health")).status, 200, "others are not affected");
});

test("errors of the transport have our shape: too large, no JSON, wrong type, unknown page, broken escapes, long names", async () => {
  await using world = await apiWorld();
  const json = { "content-type": "application/json" };
  const large = JSON.stringify({ sql: "x".repeat(LIMITS.http.bodyBytesMax) });
  assertError(
    await world.ask("POST", "/rules/a", large, json),
    413,
    "REQUEST_TOO_LARGE",
    "RequestEntityTooLargeException",
  );
  for (const body of ["{", '{"a":1}}', "\u0000", '{"__proto__":{"x":1}}']) {
    const answer = await world.ask("POST", "/rules/a", body, json);
    assertError(answer, 400, "REQUEST_INVALID", "InvalidRequestException");
  }
  assertError(await world.ask("POST", "/rules/a", "a=1", { "content-type": "text/html" }), 400, "REQUEST_INVALID");
  assertError(await world.ask("GET", "/nowhere/at/all?token=secret"), 404, "NOT_FOUND", "ResourceNotFoundException");
  assert.doesNotMatch((await world.ask("GET", "/nowhere?token=secret")).text, /secret/);
  assertError(await world.ask("OPTIONS", "/api/health"), 404, "NOT_FOUND");
  assertError(await world.ask("PUT", "/api/health"), 404, "NOT_FOUND");
  assertError(await world.ask("GET", "/things/%E0%A4%A"), 400, "REQUEST_INVALID");
  assertError(await world.ask("GET", "/things/a%2Fb"), 400, "REQUEST_INVALID");
  assertError(await world.ask("GET", "/things/%00"), 400, "REQUEST_INVALID");
  assertError(await world.ask("GET", `/things/${"x".repeat(129)}`), 400, "REQUEST_INVALID");
  const long = await world.ask("GET", `/things/${"x".repeat(1100)}`);
  assert.ok([400, 404, 414].includes(long.status), long.text);
  assert.ok(typeof (long.json as ApiError).fix === "string", long.text);
  assertError(await world.ask("GET", "/..%2f..%2fetc%2fpasswd"), 404, "NOT_FOUND");
});

test("a deeply nested body neither ends the process nor looks like a bug of ours", async () => {
  await using world = await apiWorld();
  const bomb = `{"sql":"SELECT * FROM 'a'","actions":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
  const answer = await world.ask("POST", "/rules/a", bomb, { "content-type": "application/json" });
  assertError(answer, 400, (answer.json as ApiError).code);
});

test("a mistake of ours is told with an incident number; stack and reason are in the log only", async () => {
  await using world = await apiWorld();
  world.store.failure = new TypeError("cannot read /secret/path of undefined");
  const answer = await world.ask("GET", "/api/things/pump/latest");
  assertError(answer, 500, "INTERNAL", "InternalFailureException");
  assert.doesNotMatch(answer.text, /secret|TypeError|undefined/);
  const incident = /incident ([0-9a-f]{12})/.exec(answer.text)![1];
  const line = world.logger.lines.find((candidate) => candidate.fields["incident"] === incident)!;
  assert.equal(line.fields["error"], world.store.failure);
  assert.equal(line.fields["route"], "/api/things/:thing/latest");
});

test("pages carry a policy that allows nothing from elsewhere; answers of the API are kept by nobody", async () => {
  await using world = await apiWorld();
  const page = await world.askAs({}, "GET", "/");
  assert.equal(page.status, 200);
  const policy = (text: unknown): string[] =>
    String(text)
      .split(";")
      .map((directive) => directive.trim())
      .sort();
  assert.deepEqual(policy(page.headers["content-security-policy"]), policy(CONTENT_SECURITY_POLICY));
  assert.equal(page.headers["x-content-type-options"], "nosniff");
  assert.equal(page.headers["x-frame-options"], "DENY");
  assert.equal(page.headers["referrer-policy"], "no-referrer");
  assert.equal(page.headers["cross-origin-resource-policy"], "same-origin");
  assert.equal(page.headers["access-control-allow-origin"], undefined);
  assert.equal(page.headers["cache-control"], "no-cache");
  const asset = await world.askAs({}, "GET", "/assets/index-abc.js");
  assert.match(String(asset.headers["cache-control"]), /immutable/);
  assert.equal((await world.ask("GET", "/api/health")).headers["cache-control"], "no-store");
  assert.equal((await world.askAs({}, "GET", "/api/health")).headers["cache-control"], "no-store");
  const head = await world.askAs({}, "HEAD", "/");
  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.deepEqual(
    [(await world.ask("HEAD", "/api/health")).text, (await world.ask("HEAD", "/healthz")).text],
    ["", ""],
  );
});

test("requests are counted by status and by what was refused", async () => {
  await using world = await apiWorld();
  await world.ask("GET", "/api/health");
  await world.askAs({}, "GET", "/api/health");
  await world.ask("GET", "/things/nobody");
  assert.equal(await counted(world, `tidewire_http_responses_total{status="2xx"}`), 1);
  assert.equal(await counted(world, `tidewire_http_responses_total{status="4xx"}`), 2);
  assert.equal(await counted(world, `tidewire_http_refusals_total{code="UNAUTHORIZED"}`), 1);
  assert.equal(await counted(world, `tidewire_http_refusals_total{code="NOT_FOUND"}`), 1);
});

async function counted(world: ApiWorld, line: string): Promise<number> {
  const text = await world.metrics.render();
  const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
  assert.ok(found !== undefined, `${line} is rendered`);
  return Number(found.slice(line.length + 1));
}

/** Status, headers and body of one HTTPS request that trusts our CA only. */
async function overTls(
  world: ApiWorld,
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const request = httpsGet({
    host: "127.0.0.1",
    port,
    path,
    headers,
    ca: world.authority.certificatePem,
    agent: false,
    servername: "localhost",
  });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode!, body };
}

/** Sends bytes and returns all that comes back until the other side closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
  return answer;
}

test("both listeners serve the same; the TLS one answers under any name, and its cookie is Secure", async () => {
  await using world = await apiWorld();
  const { httpPort, httpsPort } = await world.listen();
  const authorization = `Bearer ${TOKEN}`;
  const plain = await fetch(`http://127.0.0.1:${httpPort}/api/health`, { headers: { authorization } });
  assert.equal(plain.status, 200);
  const secure = await overTls(world, httpsPort, "/api/health", { authorization, host: "plant.example" });
  assert.deepEqual([secure.status, JSON.parse(secure.body)], [200, await plain.json()]);
  assert.equal((await overTls(world, httpsPort, "/api/health")).status, 401);
  const login = await fetch(`http://127.0.0.1:${httpPort}/api/session`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token: TOKEN }),
  });
  assert.match(login.headers.get("set-cookie")!, /HttpOnly; SameSite=Strict$/);
});

test("bytes that are no HTTP get one sentence and a closed connection; headers beyond 16 KiB too", async () => {
  await using world = await apiWorld();
  const { httpPort } = await world.listen();
  const rubbish = await raw(httpPort, "\u0016\u0003\u0001\u0000 hello\r\n\r\n");
  assert.match(rubbish, /^HTTP\/1\.1 400 [\s\S]*"code":"REQUEST_INVALID"/);
  const large = await raw(httpPort, `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"y".repeat(20_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 [\s\S]*"code":"REQUEST_INVALID"/);
  const noHost = await raw(httpPort, "GET /healthz HTTP/1.1\r\n\r\n");
  assert.match(noHost, /^HTTP\/1\.1 400 /);
});

test("bytes that are no TLS end a connection to the TLS listener at once", async () => {
  await using world = await apiWorld();
  const { httpsPort } = await world.listen();
  assert.doesNotMatch(await raw(httpsPort, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"), /^HTTP/);
});

test("closing ends idle, half-sent and streaming connections of both listeners without waiting for them", async () => {
  let closed: readonly Promise<unknown>[];
  {
    await using world = await apiWorld();
    const { httpPort, httpsPort } = await world.listen();
    const idle = connect(httpPort, "127.0.0.1");
    const slow = connect(httpPort, "127.0.0.1");
    const tls = connect(httpsPort, "127.0.0.1");
    const sockets = [idle, slow, tls];
    closed = sockets.map((socket) => once(socket, "close"));
    for (const socket of sockets) socket.on("error", () => {}).resume();
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    slow.write("POST /rules/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nonly a few");
    // The server has both once a third request was answered.
    await fetch(`http://127.0.0.1:${httpPort}/healthz`);
    const ended = world.api.close();
    await world.clock.run(1000);
    await ended;
    await Promise.all(closed.slice(0, 2));
  } // here the listener with TLS is closed; who never began its handshake would else have ten seconds for it
  await Promise.all(closed);
});

test("a port in use is told with the option that changes it, for either listener", async () => {
  await using world = await apiWorld();
  const { httpPort } = await world.listen();
  await using second = await apiWorld();
  await assert.rejects(second.listen({ httpPort }), {
    code: "PORT_IN_USE",
    message: new RegExp(`${httpPort} .*HTTP listener`),
  });
  await using third = await apiWorld();
  await assert.rejects(third.listen({ httpsPort: httpPort }), { code: "PORT_IN_USE", message: /HTTPS listener/ });
});
