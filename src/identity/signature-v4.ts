/**
 * AWS Signature Version 4, verified: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * A signature is good for one method, path, query, set of headers and body, one day, region and service, and for a few
 * minutes around the time in it. Within them the same request may come again: AWS keeps no list of what it has seen
 * either, and whoever can read a request on TLS has lost more than it. What must not be done twice says so by a version
 * (`expectedVersion`) or a client token.
 */
import { LIMITS, encodeUtf8 } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";

export interface SignatureHash {
  sha256(data: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array;
}

export interface SignedRequest {
  readonly method: string;
  /** As it came, percent-encoded, with the query behind `?`. */
  readonly url: string;
  /** Lower-case names; several of one name as a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** What a request says about its signature, before anything of it is believed. */
export interface ParsedSignature {
  readonly keyId: string;
  /** `YYYYMMDD`. */
  readonly day: string;
  readonly region: string;
  readonly service: string;
  /** When it was signed, `YYYYMMDD'T'HHMMSS'Z'`, and the same as a number. */
  readonly stamp: string;
  readonly signedAt: EpochMs;
  /** Of a presigned address; null where the headers carry the signature. */
  readonly lifetime: number | null;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

export type SignatureFault =
  | { readonly kind: "incomplete"; readonly reason: string }
  | { readonly kind: "expired"; readonly reason: string }
  | { readonly kind: "invalid"; readonly reason: string };

const SIGNATURE_ALGORITHM = "AWS4-HMAC-SHA256";
const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
/** Load balancers add it. */
const TRACE = "x-amzn-trace-id";
const HEX_64 = /^[0-9a-f]{64}$/;
/** More than any SDK signs; each one costs a look at the headers. */
const SIGNED_HEADERS_MAX = 64;

/** Whether the request is signed at all, rightly or not. */
export function isSigned({ url, headers }: Pick<SignedRequest, "url" | "headers">): boolean {
  const { authorization } = headers;
  if (typeof authorization === "string") return authorization.startsWith(SIGNATURE_ALGORITHM);
  return /[?&]X-Amz-(?:Algorithm|Signature|Credential)=/i.test(url);
}

/** Of a request for which `isSigned` holds. */
export function parseSignature(request: SignedRequest): ParsedSignature | SignatureFault {
  const { authorization } = request.headers;
  return typeof authorization === "string" ? fromHeader(authorization, request) : fromQuery(request);
}

function fromHeader(authorization: string, { headers }: SignedRequest): ParsedSignature | SignatureFault {
  const fields = new Map<string, string>();
  for (const part of authorization.slice(SIGNATURE_ALGORITHM.length).split(",")) {
    const [name = "", ...value] = part.trim().split("=");
    fields.set(name, value.join("="));
  }
  const [credential, signedHeaders, signature] = ["Credential", "SignedHeaders", "Signature"].map((name) =>
    fields.get(name),
  );
  if (credential === undefined) return incomplete("Authorization has no Credential");
  if (signedHeaders === undefined) return incomplete("Authorization has no SignedHeaders");
  if (signature === undefined) return incomplete("Authorization has no Signature");
  const date = single(headers["x-amz-date"]);
  if (date === null) return incomplete("the header x-amz-date is missing");
  if (headers["x-amz-security-token"] !== undefined) return temporary();
  return parsed({ credential, signedHeaders, signature, date, lifetime: null });
}

function fromQuery({ url }: SignedRequest): ParsedSignature | SignatureFault {
  const fields = new Map<string, string>();
  for (const [name, value] of queryOf(url)) {
    if (!name.startsWith("X-Amz-")) continue;
    if (fields.has(name)) return incomplete(`${name} stands twice in the address`);
    fields.set(name, value);
  }
  if (fields.get("X-Amz-Algorithm") !== SIGNATURE_ALGORITHM)
    return incomplete(`X-Amz-Algorithm is not ${SIGNATURE_ALGORITHM}`);
  const [credential, signedHeaders, signature, date, expires] = [
    "X-Amz-Credential",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-Expires",
  ].map((name) => fields.get(name));
  if (credential === undefined) return incomplete("the address has no X-Amz-Credential");
  if (signedHeaders === undefined) return incomplete("the address has no X-Amz-SignedHeaders");
  if (signature === undefined) return incomplete("the address has no X-Amz-Signature");
  if (date === undefined) return incomplete("the address has no X-Amz-Date");
  if (fields.has("X-Amz-Security-Token")) return temporary();
  // AWS IoT's own SDKs leave it out for the WebSocket: the window of a header signature holds then.
  if (expires !== undefined && !/^\d{1,7}$/.test(expires)) return incomplete("X-Amz-Expires is no number of seconds");
  return parsed({
    credential,
    signedHeaders,
    signature,
    date,
    lifetime: expires === undefined ? null : Number(expires),
  });
}

interface Fields {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  readonly date: string;
  readonly lifetime: number | null;
}

function parsed({ credential, signedHeaders, signature, date, lifetime }: Fields): ParsedSignature | SignatureFault {
  const scope = credential.split("/");
  const [keyId = "", day = "", region = "", service = "", end] = scope;
  if (scope.length !== 5 || keyId === "" || region === "" || service === "") {
    return incomplete("Credential is not KEY/DATE/REGION/SERVICE/aws4_request");
  }
  if (end !== "aws4_request") return invalid("the credential's scope does not end with aws4_request");
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (time === null) return incomplete("the date is not of the form 20260131T235959Z");
  const [year, month, dayOfMonth, hour, minute, second] = time.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const signedAt = Date.UTC(year, month - 1, dayOfMonth, hour, minute, second);
  if (day !== date.slice(0, 8)) return invalid("the day of the credential is not that of the date");
  const names = signedHeaders.split(";");
  if (names.length > SIGNED_HEADERS_MAX) return incomplete(`more than ${SIGNED_HEADERS_MAX} headers are signed`);
  if (
    names.some((name, index) => name === "" || name !== name.toLowerCase() || (index > 0 && names[index - 1]! >= name))
  ) {
    return invalid("SignedHeaders are not lower-case names in order");
  }
  if (!names.includes("host")) return invalid("the header host is not signed");
  if (!HEX_64.test(signature)) return invalid("the signature is not 64 hex digits");
  return { keyId, day, region, service, stamp: date, signedAt, lifetime, signedHeaders: names, signature };
}

export interface Expected {
  readonly services: readonly string[];
  /** Null: any; a platform of one's own is in no region of AWS. */
  readonly region: string | null;
  readonly now: EpochMs;
}

/** What can be told without the secret and the body. */
export function signatureFault(
  signature: ParsedSignature,
  expected: Expected,
  request: SignedRequest,
): SignatureFault | null {
  const { service, region, signedAt, lifetime, signedHeaders } = signature;
  if (!expected.services.includes(service)) {
    return invalid(`it is scoped to the service '${service.slice(0, 64)}', not to ${expected.services.join(" or ")}`);
  }
  if (expected.region !== null && region !== expected.region) {
    return invalid(`it is scoped to the region '${region.slice(0, 64)}', not to ${expected.region}`);
  }
  if (
    signature.lifetime === null &&
    request.headers["x-amz-date"] !== undefined &&
    !signedHeaders.includes("x-amz-date")
  ) {
    return invalid("the header x-amz-date is not signed");
  }
  // What AWS asks for as well: a header of theirs that anybody could add on the way would change what the request means.
  for (const name of Object.keys(request.headers)) {
    if (/^x-amzn?-/.test(name) && name !== TRACE && !signedHeaders.includes(name))
      return invalid(`the header ${name} is not signed`);
  }
  const { signatureSkewMax, signatureLifetimeMax } = LIMITS.people;
  if (signedAt - expected.now > signatureSkewMax) {
    return invalid(
      `it is not yet current: ${signature.stamp} is more than 5 minutes ahead of ${stampOf(expected.now)}`,
    );
  }
  if (lifetime !== null && lifetime * 1000 > signatureLifetimeMax) return invalid("X-Amz-Expires is more than a week");
  const endsAt = signedAt + (lifetime === null ? signatureSkewMax : lifetime * 1000);
  if (expected.now > endsAt) {
    return { kind: "expired", reason: `${signature.stamp} is too long before ${stampOf(expected.now)}` };
  }
  return null;
}

/** Whether whoever has the secret signed this request with these bytes as its body. */
export function verifySignature(
  signature: ParsedSignature,
  request: SignedRequest,
  body: Uint8Array,
  secret: string,
  hash: SignatureHash,
): SignatureFault | null {
  const bodyHash = hex(hash.sha256(body));
  const stated = single(request.headers["x-amz-content-sha256"]);
  if (stated !== null && stated !== UNSIGNED_PAYLOAD && stated !== bodyHash) {
    return invalid("x-amz-content-sha256 is not the hash of the body");
  }
  // An unsigned payload is what S3 allows; here the body says what is to be done.
  if (stated === UNSIGNED_PAYLOAD && body.length > 0) return invalid("the body is not signed");
  const { stamp, day, region, service } = signature;
  const text = canonicalRequest(signature, request, stated ?? bodyHash);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = [SIGNATURE_ALGORITHM, stamp, scope, hex(hash.sha256(encodeUtf8(text)))].join("\n");
  let key = encodeUtf8(`AWS4${secret}`);
  for (const part of [day, region, service, "aws4_request"]) key = hash.hmacSha256(key, encodeUtf8(part));
  const right = hex(hash.hmacSha256(key, encodeUtf8(toSign)));
  return isEqual(right, signature.signature) ? null : invalid("another secret, or another request, was signed");
}

function canonicalRequest(
  signature: ParsedSignature,
  { method, url, headers }: SignedRequest,
  bodyHash: string,
): string {
  const path = url.split("?", 1)[0]!;
  const query = queryOf(url)
    .filter(([name]) => name !== "X-Amz-Signature")
    .map(([name, value]) => [encoded(name), encoded(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return [
    method,
    canonicalPath(path),
    query.map(([name, value]) => `${name}=${value}`).join("&"),
    ...signature.signedHeaders.map((name) => `${name}:${headerText(headers[name])}`),
    "",
    signature.signedHeaders.join(";"),
    bodyHash,
  ].join("\n");
}

/** Dots resolved (RFC 3986 section 5.2.4), slashes in a row one, and each segment encoded once more. */
function canonicalPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") kept.pop();
    else kept.push(encoded(segment));
  }
  const ends = path.length > 1 && kept.length > 0 && path.endsWith("/");
  return `/${kept.join("/")}${ends ? "/" : ""}`;
}

/** Names and values decoded, in the order in which they came. */
function queryOf(url: string): readonly (readonly [name: string, value: string])[] {
  const cut = url.indexOf("?");
  if (cut < 0) return [];
  return url
    .slice(cut + 1)
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [decoded(pair), ""] : [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))];
    });
}

/** What cannot be decoded stays as it is: then nobody has signed it as we read it. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** RFC 3986's unreserved characters stay. */
function encoded(text: string): string {
  let safe = text;
  // A lone surrogate has no UTF-8; it cannot have come in a request.
  if (!text.isWellFormed()) safe = text.toWellFormed();
  return encodeURIComponent(safe).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Spaces at the ends go, several in a row become one; several headers of one name are joined. */
function headerText(value: string | readonly string[] | undefined): string {
  const values = value === undefined ? [] : typeof value === "string" ? [value] : value;
  return values.map((text) => text.trim().replace(/ +/g, " ")).join(",");
}

function single(value: string | readonly string[] | undefined): string | null {
  return typeof value === "string" ? value : (value?.[0] ?? null);
}

function isEqual(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) difference |= a.charCodeAt(index) ^ b.charCodeAt(index);
  return difference === 0;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function stampOf(at: EpochMs): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, "");
}

function temporary(): SignatureFault {
  return invalid("temporary credentials (x-amz-security-token) are none of this platform's");
}

function incomplete(reason: string): SignatureFault {
  return { kind: "incomplete", reason };
}

function invalid(reason: string): SignatureFault {
  return { kind: "invalid", reason };
}
