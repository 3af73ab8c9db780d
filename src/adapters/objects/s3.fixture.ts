/** An S3 server (s3rver) on a free port of this machine, and one in front of it that fails as it is told. */
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LIMITS } from "../../base/mod.ts";
import type { Limits, Scheduler } from "../../base/mod.ts";
import { systemScheduler } from "../system.ts";
import { S3Objects } from "./s3.ts";
import type { S3Options } from "./s3.ts";

/** s3rver's own types do not exist; this is what we use of it. */
interface S3rver {
  configureBuckets(): Promise<unknown>;
  callback(): RequestListener;
}
type MakeS3rver = new (options: object) => S3rver;

/** Pauses a fiftieth as long. */
const HASTY: Scheduler = { ...systemScheduler, after: (delay, task) => systemScheduler.after(delay / 50, task) };

/** What happens to the next request; `null`: nothing. */
export type Fault = (
  request: IncomingMessage,
  response: ServerResponse,
) => "done" | "pass" | "cut-answer" | "damage-on-the-way" | "damage-at-rest";

export class FaultyS3 {
  readonly #folder: string;
  readonly #back: Server;
  readonly #front: Server;
  /** Asked for each request. */
  fault: Fault = () => "pass";
  readonly requests: string[] = [];

  private constructor(server: S3rver, folder: string) {
    this.#folder = folder;
    this.#back = createServer(server.callback());
    this.#front = createServer((incoming, response) => this.#serve(incoming, response));
  }

  static async start(): Promise<FaultyS3> {
    const Server = createRequire(import.meta.url)("s3rver") as MakeS3rver;
    const folder = mkdtempSync(join(tmpdir(), "tidewire-s3-"));
    const server = new Server({
      silent: true,
      directory: folder,
      configureBuckets: [{ name: "archive" }],
      vhostBuckets: false,
    });
    await server.configureBuckets();
    const faulty = new FaultyS3(server, folder);
    await Promise.all(
      [faulty.#back, faulty.#front].map((one) => new Promise<void>((go) => one.listen(0, "127.0.0.1", go))),
    );
    return faulty;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#front.address() as AddressInfo).port}`;
  }

  objects(more: Partial<S3Options> & { readonly limits?: Limits["archive"] } = {}): S3Objects {
    return new S3Objects({
      endpoint: this.endpoint,
      region: "us-east-1",
      bucket: "archive",
      prefix: "plant/7",
      credentials: async () => ({ accessKeyId: "S3RVER", secretAccessKey: "S3RVER" }),
      ca: null,
      limits: { ...LIMITS.archive, partBytes: 5 * 1_048_576 },
      scheduler: HASTY,
      ...more,
    });
  }

  async stop(): Promise<void> {
    for (const server of [this.#front, this.#back]) {
      server.closeAllConnections();
      await new Promise<void>((go) => server.close(() => go()));
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    this.requests.push(`${incoming.method} ${incoming.url?.split("?")[0] ?? ""}`);
    const what = this.fault(incoming, response);
    if (what === "done") return;
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts);
      if (what === "damage-on-the-way") body.fill(0, 0, 1);
      const wrong = faultOf(incoming, body);
      if (wrong !== null) refuse(response, wrong === "BadDigest" ? 400 : 403, wrong);
      else
        this.#forward(incoming, response, what === "damage-at-rest" ? body.fill(0, 0, 1) : body, what === "cut-answer");
    });
  }

  #forward(incoming: IncomingMessage, response: ServerResponse, body: Buffer, cut: boolean): void {
    const { port } = this.#back.address() as AddressInfo;
    const { method, url, headers } = incoming;
    const back = request({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      if (!cut) answer.pipe(response);
      else
        answer.once("data", (part: Buffer) =>
          response.write(part.subarray(0, part.length >> 1), () => response.destroy()),
        );
    });
    back.on("error", () => response.destroy());
    back.end(body);
  }
}

const SECRET = "S3RVER";

/**
 * What AWS would refuse and s3rver does not look at: digests that are not the body's, and a Signature Version 4 that is
 * not the request's. Written after AWS's own description, apart from the code under test.
 */
function faultOf(
  { method, url, headers }: IncomingMessage,
  body: Buffer,
): "BadDigest" | "SignatureDoesNotMatch" | null {
  const digest = (name: string, encoding: "hex" | "base64"): string => createHash(name).update(body).digest(encoding);
  const md5 = headers["content-md5"];
  if (md5 !== undefined && md5 !== digest("md5", "base64")) return "BadDigest";
  if (headers["x-amz-content-sha256"] !== digest("sha256", "hex")) return "BadDigest";
  const match =
    /^AWS4-HMAC-SHA256 Credential=S3RVER\/((\d{8})\/([^/]+)\/s3\/aws4_request), SignedHeaders=([^,]+), Signature=(.+)$/.exec(
      headers.authorization ?? "",
    );
  if (match === null) return "SignatureDoesNotMatch";
  const [, scope, date, region, signed, signature] = match;
  const { pathname, searchParams } = new URL(url ?? "", "http://localhost");
  const query = [...searchParams]
    .map((pair) => pair.map(encodeURIComponent).join("="))
    .sort()
    .join("&");
  const lines = signed!.split(";").map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = [method, pathname, query, lines.join(""), signed, headers["x-amz-content-sha256"]].join("\n");
  const hashed = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashed].join("\n");
  const key = [date!, region!, "s3", "aws4_request"].reduce<Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    Buffer.from(`AWS4${SECRET}`),
  );
  return createHmac("sha256", key).update(text).digest("hex") === signature ? null : "SignatureDoesNotMatch";
}

/** An answer of S3 that refuses. */
export function refuse(response: ServerResponse, status: number, code: string): "done" {
  response.writeHead(status, { "content-type": "application/xml" });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>Please.</Message></Error>`);
  return "done";
}
