/**
 * Asks the platform for a new certificate, over HTTPS with the present one. Not by EST, which the platform speaks as well: its
 * requests and answers are ASN.1, whose library would cost the agent 20 MB.
 */
import { isIP } from "node:net";
import { reasonOf, seconds } from "../base/mod.ts";
import type { KeyAndCertificate } from "./device-identity.ts";
import { renewalRequest } from "./device-identity.ts";

export const RENEWAL_PATH = "/.well-known/tidewire/renewal";

export interface RenewalQuestion {
  readonly host: string;
  readonly port: number;
  readonly as: KeyAndCertificate;
  readonly ca: string;
  readonly nextKeyPem: string;
}

export type RenewalAnswer =
  | { readonly kind: "granted"; readonly certificatePem: string; readonly trustPem: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unreachable"; readonly reason: string };

const TIMEOUT = seconds(30);
const ANSWER_BYTES_MAX = 256 * 1024;

/** Never rejects. */
export async function askRenewal(question: RenewalQuestion): Promise<RenewalAnswer> {
  try {
    const { status, text } = await post(question);
    const answer = JSON.parse(text) as Record<string, unknown>;
    if (status === 200) {
      const { certificatePem, trustPem } = answer;
      if (typeof certificatePem === "string" && typeof trustPem === "string")
        return { kind: "granted", certificatePem, trustPem };
      return { kind: "unreachable", reason: "the answer is no certificate" };
    }
    const reason = [answer["message"], answer["fix"]].filter((part) => typeof part === "string").join(" ");
    // Too many requests, and a platform that is not well, are no refusal.
    const kind = status >= 400 && status < 500 && status !== 429 ? "refused" : "unreachable";
    return { kind, reason: reason === "" ? `status ${status}` : reason };
  } catch (error) {
    return { kind: "unreachable", reason: reasonOf(error).split("\n")[0]!.slice(0, 200) };
  }
}

async function post({ host, port, as, ca, nextKeyPem }: RenewalQuestion): Promise<{ status: number; text: string }> {
  const { request } = await import("node:https");
  const body = JSON.stringify(renewalRequest(as.certificatePem, nextKeyPem));
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const tls = { key: as.privateKeyPem, cert: as.certificatePem, ca, servername: isIP(host) === 0 ? host : "" };
  const asked = request(
    { host, port, path: RENEWAL_PATH, method: "POST", headers, ...tls, minVersion: "TLSv1.2", agent: false },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
        if (text.length > ANSWER_BYTES_MAX) asked.destroy(new Error("the answer is too long"));
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    },
  );
  const timer = setTimeout(() => asked.destroy(new Error("no answer in time")), TIMEOUT);
  asked.on("error", reject);
  asked.end(body);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
