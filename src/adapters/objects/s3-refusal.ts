/** What an S3 server means by a refusal, for whom, and what helps. */
import type { IncomingMessage } from "node:http";
import type { S3Request } from "./s3-request.ts";

export interface Refusal {
  readonly request: Pick<S3Request, "method" | "url" | "headers">;
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** XML, or nothing: an answer to HEAD has none. */
  readonly body: string;
}

export interface AskedBucket {
  readonly bucket: string;
  readonly prefix: string;
  readonly region: string;
}

/** `AccessDenied`; undefined where the answer says none. */
export function codeOf(body: string): string | undefined {
  return inside("Code", body);
}

/** Begins with S3's own code, which the manuals explain. */
export function reasonOfRefusal(refusal: Refusal, asked: AskedBucket): string {
  const { status, body } = refusal;
  const code = codeOf(body);
  const said = inside("Message", body);
  const head = `${code ?? `status ${status}`}${said === undefined ? "" : ` (${said})`}`;
  const meaning = meaningOf(code ?? String(status), refusal, asked);
  return meaning === null ? head : `${head}: ${meaning}`;
}

function meaningOf(code: string, { request, headers, body }: Refusal, asked: AskedBucket): string | null {
  switch (code) {
    case "AccessDenied":
    case "403":
      return `the credentials need ${rightFor(request, asked)}`;
    case "NoSuchBucket":
      return `there is no bucket '${asked.bucket}' at this endpoint; make it, or correct its name`;
    case "PermanentRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraintException":
    case "301":
    case "307": {
      const [region] = [headers["x-amz-bucket-region"] ?? inside("Region", body)].flat();
      const where = region === undefined ? "in another region" : `in region ${region}`;
      return `the bucket is ${where}, and ${asked.region} was asked; correct the region, and on AWS the endpoint`;
    }
    case "RequestTimeTooSkewed":
      return `this machine's clock is wrong: it is ${inside("ServerTime", body) ?? headers.date ?? "another time"} there; set it (NTP)`;
    case "InvalidAccessKeyId":
      return "it does not know the id of the access key; it was deleted, or belongs to another server";
    case "SignatureDoesNotMatch":
      return "the secret access key is not that of the id, or a proxy changes requests on their way";
    case "ExpiredToken":
    case "InvalidToken":
      return "the session token is over, or not of this access key; fetch new credentials";
    default:
      return null;
  }
}

function rightFor({ method, url, headers = {} }: Refusal["request"], { bucket, prefix }: AskedBucket): string {
  const query = new URL(url).searchParams;
  const list = `s3:ListBucket on arn:aws:s3:::${bucket}`;
  const objects = `arn:aws:s3:::${bucket}/${prefix === "" ? "" : `${prefix}/`}*`;
  if (method === "GET" && query.has("list-type")) return list;
  if (method === "GET" || method === "HEAD")
    return `s3:GetObject on ${objects}, and ${list} (without it, S3 refuses also what is only not there)`;
  if (method === "DELETE")
    return `${query.has("uploadId") ? "s3:AbortMultipartUpload" : "s3:DeleteObject"} on ${objects}`;
  return `s3:PutObject${headers["x-amz-acl"] === undefined ? "" : " and s3:PutObjectAcl"} on ${objects}`;
}

function inside(element: string, body: string): string | undefined {
  return new RegExp(`<${element}>([^<]{1,300})`).exec(body)?.[1];
}
