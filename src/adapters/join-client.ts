/** A new device's side of joining: finds out whether the platform is the one of the code, then asks to be let in. */
import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { ERROR_CATALOGUE, TidewireError, parseJoinCode, reasonOf, seconds } from "../base/mod.ts";
import type { ErrorCode, JoinCode } from "../base/mod.ts";
import { isDeviceFolder, writeDeviceFolder } from "./device-folder.ts";
import { makeFolder } from "./make-folder.ts";

export interface JoinOptions {
  /** `https://host:port`; without a scheme and port as `host`. */
  readonly url: string;
  readonly code: string;
  /** Default: one with the thing's name, in the working directory. */
  readonly folder?: string | undefined;
}

export interface JoinedDevice {
  readonly thing: string;
  readonly folder: string;
  readonly broker: string;
}

const TIMEOUT = seconds(20);
const ANSWER_BYTES_MAX = 256 * 1024;
/** The key is on disk before anybody is asked, so that a lost answer can be asked for again. */
const WAITING_KEY = "joining-key.pem";

/** Throws JOIN_CODE_INVALID, JOIN_TRUST_FAILED, JOIN_UNREACHABLE, DEVICE_FOLDER_EXISTS, or what the platform says. */
export async function joinPlatform({ url: given, code: text, folder }: JoinOptions): Promise<JoinedDevice> {
  const code = parseJoinCode(text);
  if ("fault" in code) throw new TidewireError("JOIN_CODE_INVALID", { reason: code.fault });
  const url = addressOf(given);
  const waiting = folder ?? ".";
  if (folder !== undefined && isDeviceFolder(folder)) throw new TidewireError("DEVICE_FOLDER_EXISTS", { path: folder });
  const ca = await trustedCa(url, code);
  const privateKeyPem = waitingKey(waiting);
  const answer = await askIn(url, ca, code, privateKeyPem);
  const target = folder ?? answer.thing;
  const broker = `mqtts://${url.hostname}:${answer.mqttsPort}`;
  const { thing, certificatePem, caPem } = answer;
  writeDeviceFolder({ path: target, thing, broker, renewal: url.origin, certificatePem, privateKeyPem, caPem });
  rmSync(join(waiting, WAITING_KEY), { force: true });
  return { thing, folder: target, broker };
}

function addressOf(text: string): URL {
  const whole = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : null;
  if (url === null || url.protocol !== "https:") {
    throw new TidewireError("JOIN_UNREACHABLE", { url: text, reason: "the address must be https://HOST:PORT" });
  }
  if (url.port === "" && !/:443\/?$/.test(whole)) url.port = "8443";
  return url;
}

/** Asks a stranger for its CAs, and believes the one whose fingerprint the code holds. Nothing secret is said until then. */
async function trustedCa(url: URL, { fingerprint }: JoinCode): Promise<string> {
  const { caPem } = (await exchange(url, "/api/join/trust", null, null)) as { caPem?: unknown };
  const shown = url.origin;
  const blocks =
    typeof caPem === "string" ? caPem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) : null;
  if (blocks === null)
    throw new TidewireError("JOIN_TRUST_FAILED", { url: shown, reason: "it names no certificate authority" });
  const found = blocks.find((pem) => {
    const digest = createHash("sha256").update(certificateOf(pem, shown).raw).digest();
    return digest.subarray(0, fingerprint.length).equals(fingerprint);
  });
  if (found !== undefined) return found;
  throw new TidewireError("JOIN_TRUST_FAILED", { url: shown, reason: "its certificate authority is not the code's" });
}

function certificateOf(pem: string, url: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TidewireError("JOIN_TRUST_FAILED", { url, reason: reasonOf(error) }, { cause: error });
  }
}

interface Answer {
  readonly thing: string;
  readonly certificatePem: string;
  readonly caPem: string;
  readonly mqttsPort: number;
}

async function askIn(url: URL, ca: string, { secret }: JoinCode, privateKeyPem: string): Promise<Answer> {
  const key = createPrivateKey(privateKeyPem);
  const publicKey = String(createPublicKey(privateKeyPem).export({ type: "spki", format: "pem" }));
  const signed = Buffer.concat([Buffer.from("tidewire join 1\n"), createHash("sha256").update(secret).digest()]);
  const proof = sign("sha256", signed, key).toString("base64");
  const body = { secret: Buffer.from(secret).toString("hex"), publicKey, proof };
  const answer = (await exchange(url, "/api/join", body, ca)) as Partial<Answer>;
  const { thing, certificatePem, caPem, mqttsPort } = answer;
  const isWhole =
    [thing, certificatePem, caPem].every((part) => typeof part === "string") && Number.isInteger(mqttsPort);
  // The name becomes a folder's.
  if (isWhole && /^[a-zA-Z0-9:_-]{1,128}$/.test(thing!)) return answer as Answer;
  throw new TidewireError("JOIN_UNREACHABLE", { url: url.origin, reason: "its answer cannot be understood" });
}

/** `ca` null: whoever answers is not believed yet. */
async function exchange(url: URL, path: string, body: object | null, ca: string | null): Promise<unknown> {
  const { status, text } = await exchanged(url, path, body, ca);
  return understood(status, text, url);
}

interface Exchanged {
  readonly status: number;
  readonly text: string;
}

function exchanged(url: URL, path: string, body: object | null, ca: string | null): Promise<Exchanged> {
  const text = body === null ? null : JSON.stringify(body);
  const failed = (error: Error): TidewireError => {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (ca !== null && /CERT|SIGNATURE|ISSUER|SELF_SIGNED/.test(code)) {
      const reason =
        code === "ERR_TLS_CERT_ALTNAME_INVALID"
          ? `its certificate does not name ${url.hostname}; start the platform with --host ${url.hostname}`
          : error.message;
      return new TidewireError("JOIN_TRUST_FAILED", { url: url.origin, reason }, { cause: error });
    }
    return new TidewireError(
      "JOIN_UNREACHABLE",
      { url: url.origin, reason: error.message === "" ? code : error.message },
      { cause: error },
    );
  };
  return new Promise((resolve, reject) => {
    const trust = ca === null ? { rejectUnauthorized: false } : { ca, rejectUnauthorized: true };
    const headers =
      text === null ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const sent = request(
      new URL(path, url),
      { method: text === null ? "GET" : "POST", headers, agent: false, timeout: TIMEOUT, ...trust },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          answer += part;
          if (answer.length > ANSWER_BYTES_MAX) sent.destroy(new Error("its answer is too long"));
        });
        response.on("error", (error) => reject(failed(error)));
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, text: answer });
        });
      },
    );
    sent.on("timeout", () => sent.destroy(new Error("no answer came")));
    sent.on("error", (error) => reject(failed(error)));
    sent.end(text ?? undefined);
  });
}

function understood(status: number, text: string, url: URL): unknown {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new TidewireError("JOIN_UNREACHABLE", {
      url: url.origin,
      reason: `what answers there is no Tidewire (status ${status})`,
    });
  }
  if (status >= 200 && status < 300) return json;
  const { code, message, fix } = json as { code?: string; message?: string; fix?: string };
  if (code !== undefined && code in ERROR_CATALOGUE && message !== undefined)
    throw TidewireError.remote(code as ErrorCode, message, fix ?? "");
  throw new TidewireError("JOIN_UNREACHABLE", { url: url.origin, reason: `it answered ${status}` });
}

/** The key of an attempt whose answer never came, or a new one. */
function waitingKey(folder: string): string {
  const path = join(folder, WAITING_KEY);
  try {
    if (existsSync(path)) return readFileSync(path, "utf8");
    makeFolder(folder);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    const file = openSync(path, "wx", 0o600);
    try {
      writeSync(file, pem);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    return pem;
  } catch (error) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: folder, reason: reasonOf(error) }, { cause: error });
  }
}
