import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  AttachThingPrincipalCommand,
  CreateThingCommand,
  DescribeThingCommand,
  IoTClient,
  ListThingsCommand,
} from "@aws-sdk/client-iot";
import { AwsClient } from "aws4fetch";
import { WebSocket } from "ws";
import { LIMITS } from "../../base/mod.ts";
import { ROLES, permissionsOf } from "../../people/mod.ts";
import type { Role } from "../../people/mod.ts";
import { apiWorld } from "./api.fixture.ts";
import type { Answer, ApiWorld, Method } from "./api.fixture.ts";
import type {
  ApiError,
  AuditPageView,
  InvitedUser,
  KeyList,
  NewKeyResult,
  SessionInfo,
  SessionList,
  UserList,
} from "./contract.ts";

const PASSWORD = "four plain words here";

async function cookieOf(answer: Answer): Promise<string> {
  assert.equal(answer.status, 204, answer.text);
  return /^(tw_session=[^;]+)/.exec(String(answer.headers["set-cookie"]))![1]!;
}

/** Invites, accepts, and returns the cookie of the dashboard. */
async function join(world: ApiWorld, name: string, role: Role): Promise<string> {
  const { invitation } = (await world.ask("POST", "/api/users", { name, role })).json as InvitedUser;
  return cookieOf(await world.askAs({}, "POST", "/api/session", { invitation: invitation.code, password: PASSWORD }));
}

async function makeKey(world: ApiWorld, body: object, headers?: Record<string, string>): Promise<NewKeyResult> {
  const answer =
    headers === undefined
      ? await world.ask("POST", "/api/keys", body)
      : await world.askAs(headers, "POST", "/api/keys", body);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as NewKeyResult;
}

async function audited(world: ApiWorld, query: string): Promise<AuditPageView["entries"]> {
  // Behind everything that nobody waits for.
  await world.audit.commit({ actor: { kind: "system" }, address: null, action: "test", target: null, outcome: "ok" });
  return ((await world.ask("GET", `/api/audit?${query}`)).json as AuditPageView).entries;
}

const code = (answer: Answer): string => (answer.json as ApiError | undefined)?.code ?? String(answer.status);

describe("roles", () => {
  test("every role at every route: refused exactly where its permission is missing", async () => {
    await using world = await apiWorld();
    await join(world, "keeper", "administrator");
    for (const role of ROLES) {
      const cookie = await join(world, `a-${role}`, role);
      for (const { method, url, permission } of world.api.routes) {
        if (permission === "public" || permission === null || method === "HEAD") continue;
        if (permissionsOf(role).has(permission)) continue;
        const answer = await world.askAs({ cookie }, method as Method, url.replace(/:[a-zA-Z]+/g, "some-name"));
        assert.deepEqual([answer.status, code(answer)], [403, "PERMISSION_DENIED"], `${role}: ${method} ${url}`);
        assert.equal(answer.headers["x-amzn-errortype"], "AccessDeniedException");
      }
    }
    const viewer = await join(world, "viewer-2", "viewer");
    for (const url of [
      "/api/fleet",
      "/things",
      "/api/health",
      "/metrics",
      "/rules",
      "/certificates",
      "/policies",
      "/api/alerts",
      "/api/session",
    ]) {
      assert.equal((await world.askAs({ cookie: viewer }, "GET", url)).status, 200, url);
    }
    assert.equal((await world.askAs({ cookie: viewer }, "POST", "/things/pump", {})).status, 403);
    assert.match(code(await world.askAs({ cookie: viewer }, "GET", "/api/users")), /PERMISSION_DENIED/);
  });
});

describe("users", () => {
  test("invited, in, with another password: the other dashboards are out; disabled: all are", async () => {
    await using world = await apiWorld();
    const first = await join(world, "Anna", "operator");
    const info = (await world.askAs({ cookie: first }, "GET", "/api/session")).json as SessionInfo;
    assert.deepEqual([info.user, info.kind, info.role], ["anna", "user", "operator"]);
    const second = await cookieOf(await world.askAs({}, "POST", "/api/session", { name: "anna", password: PASSWORD }));
    const sessions = ((await world.askAs({ cookie: second }, "GET", "/api/sessions")).json as SessionList).sessions;
    assert.deepEqual(
      sessions.map(({ user, address }) => [user, address]),
      [
        ["anna", "127.0.0.1"],
        ["anna", "127.0.0.1"],
      ],
    );
    const change = { current: PASSWORD, password: "another four plain words" };
    assert.equal(
      code(await world.askAs({ cookie: second }, "POST", "/api/account/password", { ...change, current: "x" })),
      "LOGIN_REFUSED",
    );
    assert.equal(
      code(await world.askAs({ cookie: second }, "POST", "/api/account/password", { ...change, password: "short" })),
      "PASSWORD_UNFIT",
    );
    assert.equal((await world.askAs({ cookie: second }, "POST", "/api/account/password", change)).status, 204);
    assert.equal((await world.askAs({ cookie: first }, "GET", "/api/session")).status, 401);
    assert.equal((await world.askAs({ cookie: second }, "GET", "/api/session")).status, 200);
    assert.equal((await world.ask("PATCH", "/api/users/anna", { disabled: true })).status, 200);
    assert.equal((await world.askAs({ cookie: second }, "GET", "/api/session")).status, 401);
    assert.equal(
      code(await world.askAs({}, "POST", "/api/session", { name: "anna", password: change.password })),
      "LOGIN_REFUSED",
    );
  });

  test("nobody can tell from an answer who exists; guessing meets a wait", async () => {
    await using world = await apiWorld();
    await join(world, "anna", "viewer");
    const tries = async (name: string): Promise<readonly string[]> => {
      const answers: string[] = [];
      for (let n = 0; n <= LIMITS.people.loginsFreePerName; n++) {
        const answer = await world.askAs({}, "POST", "/api/session", { name, password: "wrong wrong wrong" });
        answers.push(`${answer.status} ${answer.text}`);
      }
      return answers;
    };
    const [known, unknown] = [await tries("anna"), await tries("nobody")];
    assert.deepEqual(known, unknown);
    assert.match(known.at(-1)!, /^429 .*LOGIN_TOO_OFTEN/);
    const entries = await audited(world, "action=session.refuse&target=anna");
    assert.deepEqual([...new Set(entries.map(({ reason }) => reason))], ["too-often", "wrong-password"]);
  });

  test("the last administrator stays; the token can be rotated, and revoked once there is one", async () => {
    await using world = await apiWorld();
    assert.equal(code(await world.ask("DELETE", "/api/token")), "LAST_ADMINISTRATOR");
    const cookie = await join(world, "anna", "administrator");
    assert.equal(code(await world.ask("DELETE", "/api/users/anna")), "LAST_ADMINISTRATOR");
    assert.equal(code(await world.ask("PATCH", "/api/users/anna", { role: "viewer" })), "LAST_ADMINISTRATOR");
    const { token } = (await world.ask("POST", "/api/token/rotate")).json as { token: string };
    assert.equal((await world.ask("GET", "/api/users")).status, 401, "the old one is over");
    const headers = { authorization: `Bearer ${token}` };
    assert.equal(((await world.askAs(headers, "GET", "/api/users")).json as UserList).users.length, 1);
    assert.equal((await world.askAs({ cookie }, "DELETE", "/api/token")).status, 204);
    assert.equal((await world.askAs(headers, "GET", "/api/users")).status, 401);
  });

  test("sessions: one's own can be seen and ended by everybody, others' by administrators", async () => {
    await using world = await apiWorld();
    const [anna, bert] = [await join(world, "anna", "viewer"), await join(world, "bert", "viewer")];
    const mine = ((await world.askAs({ cookie: anna }, "GET", "/api/sessions")).json as SessionList).sessions[0]!;
    assert.equal((await world.askAs({ cookie: bert }, "DELETE", `/api/sessions/${mine.id}`)).status, 403);
    assert.equal((await world.askAs({ cookie: bert }, "GET", "/api/sessions?all=true")).status, 403);
    assert.equal(((await world.ask("GET", "/api/sessions?all=true")).json as SessionList).sessions.length, 2);
    assert.equal((await world.ask("DELETE", `/api/sessions/${mine.id}`)).status, 204);
    assert.equal((await world.askAs({ cookie: anna }, "GET", "/api/session")).status, 401);
    assert.equal((await world.askAs({ cookie: bert }, "GET", "/api/session")).status, 200);
  });
});

describe("keys", () => {
  test("a key does what its scopes say; its secret is told once; revoking it ends its live view, too", async () => {
    await using world = await apiWorld();
    const { key, secret } = await makeKey(world, {
      name: "prometheus",
      permissions: ["metrics:read", "telemetry:read"],
    });
    const headers = { authorization: `Bearer ${secret}` };
    assert.equal((await world.askAs(headers, "GET", "/metrics")).status, 200);
    assert.equal(code(await world.askAs(headers, "GET", "/api/fleet")), "PERMISSION_DENIED");
    const list = await world.ask("GET", "/api/keys");
    assert.ok(!list.text.includes(secret) && (list.json as KeyList).keys[0]!.id === key.id);
    const { httpPort } = await world.listen();
    const socket = new WebSocket(`ws://127.0.0.1:${httpPort}/api/live`, { headers });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    socket.send(JSON.stringify({ type: "watch-fleet" }));
    const [refused] = (await new Promise((resolve) =>
      socket.once("message", (data: Buffer) => resolve([JSON.parse(data.toString())])),
    )) as [{ error: ApiError }];
    assert.equal(refused.error.code, "PERMISSION_DENIED");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    assert.equal((await world.ask("DELETE", `/api/keys/${key.id}`)).status, 204);
    assert.equal(await closed, 1008);
    assert.equal((await world.askAs(headers, "GET", "/metrics")).status, 401);
  });

  test("a key that is narrowed to some things is refused wherever that cannot be told", async () => {
    await using world = await apiWorld();
    for (const name of ["line-1", "line-2", "pump"]) await world.ask("POST", `/things/${name}`, {});
    const { secret } = await makeKey(world, {
      name: "line",
      permissions: ["fleet:read", "telemetry:read"],
      things: ["line-*"],
    });
    const asks = async (url: string, method: Method = "GET", body?: object): Promise<number> =>
      (await world.askAs({ authorization: `Bearer ${secret}` }, method, url, body)).status;
    const allowed = [
      "/api/things/line-1",
      "/things/line-2",
      "/api/things/line-1/latest",
      "/api/series?thing=line-1&measurement=m",
      "/api/series?things=line-1,line-*&measurement=m",
    ];
    for (const url of allowed) assert.equal(await asks(url), 200, url);
    const refused = [
      "/api/things/pump",
      "/things/pump",
      "/things",
      "/api/fleet",
      "/api/series?thing=pump&measurement=m",
      "/api/series?things=line-1,pump&measurement=m",
      "/api/series?things=*&measurement=m",
      "/api/series?measurement=m",
      '/api/series?thing=line-1&measurement=m&expr="pump".t',
      "/api/query?sql=select%201",
    ];
    for (const url of refused) assert.equal(await asks(url), 403, url);
    assert.equal(
      await asks("/api/series", "POST", { thing: "line-1", measurement: "m" }),
      403,
      "a body is not looked at before",
    );
  });

  test("nobody gives more than he has, and a key makes no keys", async () => {
    await using world = await apiWorld();
    const cookie = await join(world, "anna", "viewer");
    const wish = { name: "k", permissions: ["fleet:write"] };
    assert.equal(code(await world.askAs({ cookie }, "POST", "/api/keys", wish)), "KEY_INVALID");
    const { secret } = await makeKey(world, { name: "k", permissions: ["account", "fleet:read"] }, { cookie });
    const asKey = { authorization: `Bearer ${secret}` };
    assert.equal(
      code(await world.askAs(asKey, "POST", "/api/keys", { name: "k2", permissions: ["fleet:read"] })),
      "PERMISSION_DENIED",
    );
    assert.equal(code(await world.askAs(asKey, "POST", "/api/login-codes")), "UNAUTHORIZED");
    assert.equal((await world.askAs({ cookie }, "GET", "/api/keys?all=true")).status, 403);
  });
});

describe("Signature Version 4", () => {
  test("the unmodified AWS SDK makes, describes and lists things; audit and 'last used' name the key", async () => {
    await using world = await apiWorld();
    const { httpPort } = await world.listen();
    const { key, secret } = await makeKey(world, {
      kind: "access",
      name: "terraform",
      permissions: ["fleet:read", "fleet:write"],
    });
    const client = new IoTClient({
      region: "eu-central-1",
      endpoint: `http://127.0.0.1:${httpPort}`,
      credentials: { accessKeyId: key.id, secretAccessKey: secret },
      maxAttempts: 1,
    });
    try {
      const made = await client.send(
        new CreateThingCommand({ thingName: "pump:7", attributePayload: { attributes: { site: "ulm" } } }),
      );
      assert.match(made.thingArn ?? "", /thing\/pump:7$/);
      assert.deepEqual((await client.send(new DescribeThingCommand({ thingName: "pump:7" }))).attributes, {
        site: "ulm",
      });
      const listed = await client.send(
        new ListThingsCommand({ attributeName: "site", attributeValue: "ulm", maxResults: 5 }),
      );
      assert.deepEqual(
        listed.things?.map(({ thingName }) => thingName),
        ["pump:7"],
      );
      const attach = new AttachThingPrincipalCommand({ thingName: "pump:7", principal: "arn:aws:iot:x" });
      await assert.rejects(client.send(attach), { name: "AccessDeniedException" });
    } finally {
      client.destroy();
    }
    const wrong = new IoTClient({
      region: "eu-central-1",
      endpoint: `http://127.0.0.1:${httpPort}`,
      credentials: { accessKeyId: key.id, secretAccessKey: `${secret}x` },
      maxAttempts: 1,
    });
    await assert.rejects(wrong.send(new ListThingsCommand({})), { name: "InvalidSignatureException" });
    wrong.destroy();
    const [entry] = await audited(world, "action=POST%20%2Fthings%2F*");
    assert.deepEqual(
      [entry?.actor["kind"], entry?.actor["key"], entry?.target, entry?.outcome],
      ["access-key", key.id, "pump:7", "ok"],
    );
    assert.equal(
      (entry?.details?.["effects"] as readonly { id: string }[] | undefined)?.[0]?.id,
      "pump:7",
      "with what it brought about",
    );
    const keys = (await world.ask("GET", "/api/keys")).json as KeyList;
    assert.equal(keys.keys[0]?.lastUsedFrom, "127.0.0.1");
  });

  test("another signer; an altered body, an old signature, an unknown key: each in AWS's words", async () => {
    await using world = await apiWorld();
    const { key, secret } = await makeKey(world, {
      kind: "access",
      name: "tool",
      permissions: ["fleet:read", "fleet:write"],
    });
    const host = "tide.example";
    const send = async (
      method: Method,
      path: string,
      body?: string,
      change: { id?: string; ago?: number; sent?: string; service?: string } = {},
    ): Promise<Answer> => {
      const client = new AwsClient({
        accessKeyId: change.id ?? key.id,
        secretAccessKey: secret,
        service: change.service ?? "iot",
        region: "local",
      });
      const datetime = new Date(world.clock.now() - (change.ago ?? 0)).toISOString().replace(/[-:]|\.\d{3}/g, "");
      const init = {
        method,
        aws: { datetime },
        ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
      };
      const signed = await client.sign(`http://${host}${path}`, init);
      return world.askAs({ ...Object.fromEntries(signed.headers), host }, method, path, change.sent ?? body);
    };
    const body = JSON.stringify({ attributePayload: { attributes: { a: "ü" } } });
    assert.equal((await send("POST", "/things/x", body)).status, 200);
    assert.equal((await send("GET", "/things?maxResults=1")).status, 200);
    const exception = async (answer: Promise<Answer>): Promise<readonly unknown[]> => {
      const { status, headers } = await answer;
      return [status, headers["x-amzn-errortype"]];
    };
    assert.deepEqual(await exception(send("POST", "/things/y", body, { sent: body.replace("ü", "u") })), [
      403,
      "InvalidSignatureException",
    ]);
    assert.deepEqual(await exception(send("GET", "/things", undefined, { ago: 301_000 })), [403, "RequestExpired"]);
    assert.deepEqual(await exception(send("GET", "/things", undefined, { ago: -302_000 })), [
      403,
      "InvalidSignatureException",
    ]);
    assert.deepEqual(await exception(send("GET", "/things", undefined, { id: "TWAKAAAAAAAAAAAAAAAA" })), [
      403,
      "UnrecognizedClientException",
    ]);
    assert.deepEqual(await exception(send("GET", "/things", undefined, { service: "s3" })), [
      403,
      "InvalidSignatureException",
    ]);
    assert.deepEqual(
      await exception(world.askAs({ authorization: "AWS4-HMAC-SHA256 nonsense", host }, "GET", "/things")),
      [400, "IncompleteSignatureException"],
    );
    assert.equal(code(await world.ask("GET", "/things/y")), "NOT_FOUND", "what was altered has not happened");
    const large = JSON.stringify({ a: "x".repeat(LIMITS.http.bodyBytesMax) });
    assert.equal((await send("POST", "/things/z", large)).status, 413);
  });
});

describe("audit", () => {
  test("a change is written before it is answered: who, what, before and after; a refused one as well", async () => {
    await using world = await apiWorld();
    const viewer = await join(world, "anna", "viewer");
    await world.ask("PATCH", "/api/users/anna", { role: "viewer" });
    await world.askAs({ cookie: viewer }, "DELETE", "/api/users/bert");
    const [refused] = await audited(world, "action=user.remove");
    assert.deepEqual(
      [refused?.actor["user"], refused?.target, refused?.outcome, refused?.reason],
      ["anna", "bert", "refused", "PERMISSION_DENIED"],
    );
    const [update] = await audited(world, "action=user.update&since=-1h");
    assert.deepEqual([update?.actor["kind"], update?.target, update?.outcome], ["token", "anna", "ok"]);
    assert.deepEqual(update?.details, { before: { role: "viewer", state: "active" }, after: { role: "viewer" } });
    const [later] = await audited(world, "action=user.update&since=2026-01-01T00:00:00%2B01:00&until=now%2B1h");
    assert.deepEqual(later, update);
    for (const wrong of ["since=yesterday", "since=2026-01-01T00:00:00", "until=2026-01-01T08:00"])
      assert.equal((await world.ask("GET", `/api/audit?${wrong}`)).status, 400, wrong);
    const all = JSON.stringify(await audited(world, "limit=1000"));
    assert.ok(!all.includes(PASSWORD));
  });

  test("token guessing is told, and a flood of it is a number", async () => {
    await using world = await apiWorld();
    for (let n = 0; n < 30; n++) await world.askAs({ authorization: `Bearer tw_guess${n}` }, "GET", "/things");
    const entries = await audited(world, "action=auth.refuse");
    assert.equal(entries.length, LIMITS.audit.refusalsPerMinuteMax);
    assert.deepEqual(
      [entries[0]?.actor.kind, entries[0]?.target, entries[0]?.reason],
      ["stranger", "GET /things", "UNAUTHORIZED"],
    );
  });

  test("no audit log, no change; questions are answered all the same", async () => {
    await using world = await apiWorld();
    Object.defineProperty(world.audit, "unavailable", { get: () => "the disk is full" });
    const answer = await world.ask("POST", "/things/pump", {});
    assert.deepEqual([answer.status, code(answer)], [503, "AUDIT_UNAVAILABLE"]);
    assert.equal((await world.ask("GET", "/things/pump")).status, 404, "nothing has happened");
    assert.equal((await world.ask("GET", "/api/fleet")).status, 200);
  });
});
