import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterEach, beforeEach, describe, test } from "node:test";
import { TidewireError } from "../base/mod.ts";
import type { OutgoingRequest } from "../rules/mod.ts";
import { makePki } from "./net/pki.fixture.ts";
import { NodeOutgoingHttp, hmacSha256 } from "./outgoing-http.ts";

/** A server that speaks as told, byte by byte, so that it can also misbehave. */
class RawServer {
  readonly requests: string[] = [];
  connections = 0;
  port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  /** Reads nothing of what it is sent. */
  stalls = false;
  /** Said to every new connection, unasked. */
  greeting = "";
  /** Called once a request is complete. */
  answer: (socket: Socket, n: number) => void = (socket) => socket.write(OK);

  constructor() {
    this.#server = createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      if (this.greeting !== "") socket.write(this.greeting);
      if (this.stalls) return;
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (head < 0 || text.length < head + 4 + length) return;
        this.requests.push(text);
        text = "";
        this.answer(socket, this.requests.length);
      });
    });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("outgoing http", () => {
  let server: RawServer;
  let http: NodeOutgoingHttp;

  beforeEach(async () => {
    server = new RawServer();
    await server.listen();
    http = new NodeOutgoingHttp();
  });

  afterEach(async () => {
    http.close();
    await server.close();
  });

  function request(more: Partial<OutgoingRequest> = {}): OutgoingRequest {
    return {
      url: `http://127.0.0.1:${server.port}/hook?x=1`,
      headers: { "content-type": "application/json", "webhook-id": "a-1" },
      body: new TextEncoder().encode('{"é":1}'),
      timeout: 30_000,
      ...more,
    };
  }

  async function faultOf(more: Partial<OutgoingRequest>): Promise<TidewireError> {
    const fault: unknown = await http.post(request(more)).then(
      () => null,
      (error: unknown) => error,
    );
    assert.ok(fault instanceof TidewireError, String(fault));
    return fault;
  }

  test("a request has its body, length and headers; the answer its status and text", async () => {
    assert.deepEqual(await http.post(request()), { status: 200, headers: {}, body: "ok" });
    const [text] = server.requests;
    assert.match(text!, /^POST \/hook\?x=1 HTTP\/1\.1\r\n/);
    assert.match(text!, /content-length: 8\r\n/i);
    assert.match(text!, /webhook-id: a-1\r\n/);
    assert.match(text!, /user-agent: Tidewire\r\n/);
    assert.ok(text!.endsWith(Buffer.from('{"é":1}').toString("latin1")));
  });

  test("connections are used again", async () => {
    for (let i = 0; i < 20; i++) await http.post(request());
    assert.equal(server.connections, 1);
  });

  test("a kept connection that the receiver closed meanwhile costs nothing: the request is made on a new one", async () => {
    server.answer = (socket, n) => {
      // The second request finds the connection reset, as when a receiver restarts or its idle time is over.
      if (n === 2) socket.resetAndDestroy();
      else socket.write(OK);
    };
    await http.post(request());
    assert.equal((await http.post(request())).status, 200);
    assert.equal(server.requests.length, 3);
    assert.equal(server.connections, 2);
  });

  test("a new connection that is reset is a failure", async () => {
    server.answer = (socket) => socket.resetAndDestroy();
    const fault = await faultOf({});
    assert.equal(fault.code, "OUTGOING_FAILED");
    assert.match(fault.message, /127\.0\.0\.1:\d+ got no answer: .*ECONNRESET/);
    assert.equal(server.requests.length, 1);
  });

  test("Retry-After is handed on; a redirect is not followed", async () => {
    server.answer = (socket) =>
      socket.write("HTTP/1.1 302 Found\r\nLocation: /other\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    assert.deepEqual(await http.post(request()), { status: 302, headers: { "retry-after": "7" }, body: "" });
    assert.equal(server.requests.length, 1);
  });

  test("no answer in time", async () => {
    server.answer = () => {};
    const fault = await faultOf({ timeout: 50 });
    assert.equal(fault.code, "OUTGOING_FAILED");
    assert.match(fault.message, /no answer within 0.05 s/);
  });

  test("an answer that begins and never ends", async () => {
    server.answer = (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    assert.match((await faultOf({ timeout: 50 })).message, /no answer within 0.05 s/);
  });

  test("an answer that trickles, byte by byte, keeps nobody: the time is that of the whole exchange", async () => {
    for (const answer of ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"]) {
      let bytes = 0;
      server.answer = (socket) => {
        socket.write(answer);
        const drip = setInterval(() => socket.write(".", () => bytes++), 5);
        socket.on("close", () => clearInterval(drip));
      };
      assert.match((await faultOf({ timeout: 100 })).message, /no answer within 0.1 s/);
      assert.ok(bytes > 0, "it was never silent");
    }
  });

  test("a request that nobody takes, and a connection that is never answered, too", async () => {
    server.answer = () => {};
    server.stalls = true;
    const body = new Uint8Array(20_000_000);
    assert.match((await faultOf({ timeout: 100, body })).message, /no answer within 0.1 s/);
  });

  test("an answer of 1 GB is believed for its status, and not read", async () => {
    let sent = 0;
    server.answer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
      const more = (): void => {
        while (!socket.destroyed && sent < 1_073_741_824 && socket.write(Buffer.alloc(65_536, "x"))) sent += 65_536;
        if (!socket.destroyed) socket.once("drain", more);
      };
      more();
    };
    const { status, body } = await http.post(request());
    assert.deepEqual([status, body.length], [200, 65_536]);
    assert.ok(sent < 50_000_000, `${sent} bytes were sent`);
  });

  test("a second answer that nobody asked for is not the next request's", async () => {
    server.answer = (socket, n) => socket.write(n === 1 ? `HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n${OK}` : OK);
    assert.equal((await http.post(request())).status, 500);
    assert.equal((await http.post(request())).status, 200);
    assert.equal(server.requests.length, 2);
  });

  test("headers without an end are a failure, not memory", async () => {
    server.answer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const more = (): void => {
        while (!socket.destroyed && socket.write(`X-Header: ${"x".repeat(8_000)}\r\n`)) continue;
        if (!socket.destroyed) socket.once("drain", more);
      };
      more();
    };
    assert.match((await faultOf({})).message, /overflow/i);
  });

  test("of a long answer only the beginning is kept; of an endless one not even that much is read", async () => {
    server.answer = (socket) => socket.write(`HTTP/1.1 500 No\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`);
    assert.equal((await http.post(request())).body.length, 65_536);
    let sent = 0;
    server.answer = (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const more = (): void => {
        while (!socket.destroyed && socket.write(`10000\r\n${"y".repeat(65_536)}\r\n`)) sent += 65_536;
        socket.once("drain", more);
      };
      more();
    };
    const response = await http.post(request());
    assert.equal(response.status, 200);
    assert.equal(response.body.length, 65_536);
    assert.ok(sent < 50_000_000);
  });

  test("what is no HTTP is a failure", async () => {
    server.answer = (socket) => socket.end("hello\r\n\r\n");
    assert.equal((await faultOf({})).code, "OUTGOING_FAILED");
  });

  test("nobody listens there", async () => {
    const { port } = server;
    const spare = new RawServer();
    await spare.listen();
    const free = spare.port;
    await spare.close();
    assert.notEqual(free, port);
    assert.match((await faultOf({ url: `http://127.0.0.1:${free}/` })).message, /ECONNREFUSED/);
  });

  test("TLS to a server that has none is a failure", async () => {
    server.greeting = "no TLS here\r\n";
    assert.equal((await faultOf({ url: `https://127.0.0.1:${server.port}/` })).code, "OUTGOING_FAILED");
  });

  for (const url of [
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "nonsense",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://2852039166/", // 169.254.169.254 as one number
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0.0.0.0:1/",
    "http://[::]:1/",
    "http://100.100.100.200/",
    "http://224.0.0.1/",
  ]) {
    test(`${url} is refused`, async () => {
      const fault = await faultOf({ url });
      assert.equal(fault.code, "OUTGOING_REFUSED");
      assert.doesNotMatch(fault.message, /meta-data|passwd/);
    });
  }

  test("private networks and loopback are refused where the operator says so, by name, too", async () => {
    const strict = new NodeOutgoingHttp({ privateNetworks: false });
    for (const host of [
      "127.0.0.1",
      "localhost",
      "[::1]",
      "10.1.2.3",
      "172.20.0.1",
      "192.168.1.1",
      "[fd12::1]",
      "100.64.0.1",
    ]) {
      await assert.rejects(
        strict.post(request({ url: `http://${host}:${server.port}/` })),
        { code: "OUTGOING_REFUSED" },
        host,
      );
    }
    assert.equal(server.connections, 0);
    strict.close();
  });

  test("localhost is reached by name", async () => {
    assert.equal((await http.post(request({ url: `http://localhost:${server.port}/` }))).status, 200);
  });

  test("HMAC-SHA256, RFC 4231 test case 2", () => {
    const text = new TextEncoder();
    const mac = hmacSha256(text.encode("Jefe"), text.encode("what do ya want for nothing?"));
    assert.equal(Buffer.from(mac).toString("hex"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  });
});

test("a text is fetched whole, by HTTPS only, of 200 only, never longer than asked for, and not from forbidden addresses", async () => {
  const pki = await makePki();
  const { key, cert } = await pki.issue("localhost");
  const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
    "/keys": (response) => response.end("x".repeat(1000)),
    "/elsewhere": (response) => response.writeHead(302, { location: "/keys" }).end(),
    "/silent": () => {},
  };
  const server = createHttpsServer({ key, cert }, (request, response) => answers[request.url!]!(response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = `https://localhost:${(server.address() as AddressInfo).port}`;
  const http = new NodeOutgoingHttp({ extraCertificates: [pki.ca] });
  try {
    const limits = { timeout: 5_000, bytesMax: 1000 };
    assert.equal((await http.getText(`${at}/keys`, limits)).length, 1000);
    await assert.rejects(http.getText(`${at}/keys`, { ...limits, bytesMax: 999 }), /more than 999 bytes/);
    await assert.rejects(http.getText(`${at}/elsewhere`, limits), /302/);
    await assert.rejects(http.getText(`${at}/silent`, { ...limits, timeout: 50 }), /no answer within/);
    await assert.rejects(http.getText(at.replace("https:", "http:"), limits), /only https/);
    await assert.rejects(http.getText("https://169.254.169.254/keys", limits), /not allowed/);
    await assert.rejects(new NodeOutgoingHttp().getText(`${at}/keys`, limits), /certificate/i, "a CA nobody trusts");
  } finally {
    http.close();
    server.closeAllConnections();
    server.close();
    await pki.remove();
  }
});
