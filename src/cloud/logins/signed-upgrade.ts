/**
 * MQTT over WebSocket as AWS's SDKs open it without a certificate: the address carries a signature (Signature Version 4) of an
 * access key. Source: AWS IoT Core, "MQTT over the WebSocket protocol".
 */
import type { IncomingMessage } from "node:http";
import { scramHash } from "../../adapters/scram-hash.ts";
import type { Clock } from "../../base/mod.ts";
import { isSigned, parseSignature, signatureFault, verifySignature } from "../../identity/mod.ts";
import type { SignatureFault, SignedRequest } from "../../identity/mod.ts";
import type { People } from "../../people/mod.ts";

const SERVICES = ["iotdevicegateway"];
const NOTHING = new Uint8Array(0);

export type Signer = { readonly principal: string } | { readonly reason: "signature"; readonly hint: string };

/** Null where the address carries no signature. */
export function signerOf(
  { method = "", url = "", headers }: Pick<IncomingMessage, "method" | "url" | "headers">,
  remoteAddress: string,
  { people, clock }: { readonly people: Pick<People, "bySigner">; readonly clock: Clock },
): Signer | null {
  // AWS's own gateway has it behind the signature; our keys have no session, and the signature says all.
  const { authorization: _none, ...others } = headers;
  const request: SignedRequest = { method, url: withoutToken(url), headers: others };
  if (!isSigned(request)) return null;
  const signature = parseSignature(request);
  if ("kind" in signature) return refused(signature);
  const early = signatureFault(signature, { services: SERVICES, region: null, now: clock.now() }, request);
  if (early !== null) return refused(early);
  const key = people.bySigner(signature.keyId, remoteAddress);
  if (key === null)
    return hinted(
      "the access key is not known, revoked or has expired: make one with `tidewire keys add --access-key`",
    );
  // Some clients sign the server's name alone, and then ask for it with its port.
  const fault = hostsOf(request)
    .map((one) => verifySignature(signature, one, NOTHING, key.secret, scramHash))
    .reduce((first, next) => (first === null || next === null ? null : first));
  if (fault !== null) return refused(fault);
  return key.actor() === null
    ? hinted("the owner of the access key may not log in now")
    : { principal: `key/${signature.keyId}` };
}

function hostsOf(request: SignedRequest): readonly SignedRequest[] {
  const { host } = request.headers;
  const bare = typeof host === "string" ? host.replace(/:\d+$/, "") : host;
  return bare === host ? [request] : [request, { ...request, headers: { ...request.headers, host: bare } }];
}

function withoutToken(url: string): string {
  const [path, query] = [url.split("?", 1)[0]!, url.slice(url.indexOf("?") + 1)];
  if (!url.includes("?")) return url;
  return `${path}?${query
    .split("&")
    .filter((pair) => !/^X-Amz-Security-Token=/i.test(pair))
    .join("&")}`;
}

function refused({ reason }: SignatureFault): Signer {
  return hinted(`the signature of the address does not hold: ${reason}`);
}

function hinted(hint: string): Signer {
  return { reason: "signature", hint };
}
