/** What a join code opens: a thing of this name with the default policy, or a device of a template. */
import { X509Certificate, createHash, createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { keyFault } from "../../adapters/pki/device-key.ts";
import type { CertificateAuthority } from "../../adapters/pki/mod.ts";
import { JOIN_FINGERPRINT_BYTES, TidewireError } from "../../base/mod.ts";
import { DEFAULT_POLICY_NAME } from "../../identity/mod.ts";
import type { JoinCodes, JoinOffer, Joined, Provisioner } from "../../identity/mod.ts";
import type { Registry } from "../../registry/mod.ts";
import { issuedFor } from "./device-registry.ts";

export interface JoiningOptions {
  readonly codes: JoinCodes;
  readonly provisioner: Provisioner;
  readonly registry: Registry;
  readonly authority: CertificateAuthority;
}

export interface JoinRequest {
  readonly secret: Uint8Array;
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string;
  /** The device's signature of `joinProof`, base64. */
  readonly proof: string;
}

export interface JoinAnswer {
  readonly thing: string;
  readonly certificatePem: string;
  readonly caPem: string;
}

export class Joining {
  readonly #o: JoiningOptions;

  constructor(options: JoiningOptions) {
    this.#o = options;
  }

  get codes(): JoinCodes {
    return this.#o.codes;
  }

  /** The CAs that devices trust; no secret. */
  get caPem(): string {
    return this.#o.authority.certificatePem;
  }

  /** Throws JOIN_CODE_INVALID, TOO_MANY_REQUESTS, CERTIFICATE_REFUSED. */
  async join({ secret, publicKey, proof }: JoinRequest, remoteAddress: string): Promise<JoinAnswer> {
    const key = provedKey(publicKey, proof, secret);
    const keyHash = createHash("sha256")
      .update(key.export({ type: "spki", format: "der" }))
      .digest("hex");
    const joined = await this.#o.codes.redeem(secret, keyHash, remoteAddress, (offer, use) =>
      this.#admit(offer, key, use),
    );
    const certificatePem = joined.certificatePem ?? this.#o.registry.certificates.describe(joined.certificateId).pem;
    return { thing: joined.thing, certificatePem, caPem: this.caPem };
  }

  async #admit(
    offer: JoinOffer,
    key: KeyObject,
    use: (joined: Joined) => void,
  ): Promise<{ thing: string; certificateId: string; certificatePem: string }> {
    const { provisioner, authority } = this.#o;
    if (offer.kind === "thing") {
      const issued = issuedFor(await authority.issueFor(key, offer.thing));
      this.#register(offer.thing, issued, use);
      return { ...issued, thing: offer.thing };
    }
    const issued = issuedFor(await authority.issueFor(key, "Tidewire device"));
    const { certificateId } = issued;
    const { thingName } = await provisioner.provisionWith(issued, offer.template, offer.parameters, {
      planned: ({ thing }) => {
        if (thing !== null) return Promise.resolve();
        throw new TidewireError("REQUEST_INVALID", { reason: "the code's template makes no thing" });
      },
      first: ({ thing }) => use({ thing: thing!.name, certificateId }),
    });
    return { ...issued, thing: thingName! };
  }

  #register(
    thing: string,
    { certificateId, certificatePem, facts }: ReturnType<typeof issuedFor>,
    use: (joined: Joined) => void,
  ): void {
    const { registry } = this.#o;
    registry.atomically(() => {
      use({ thing, certificateId });
      if (registry.things.find(thing) === undefined) registry.things.create(thing);
      registry.certificates.register(certificatePem, facts);
      registry.things.attach(thing, certificateId);
      registry.policies.attach(DEFAULT_POLICY_NAME, certificateId);
    });
  }
}

/** First certificate of what devices trust: the root in force. */
export function fingerprintOf(caPem: string): Uint8Array {
  const digest = createHash("sha256").update(new X509Certificate(caPem).raw).digest();
  return new Uint8Array(digest.subarray(0, JOIN_FINGERPRINT_BYTES));
}

/** What a joining device signs, so that nobody gets a certificate for a key that is not his. */
export function joinProof(secret: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from("tidewire join 1\n"), createHash("sha256").update(secret).digest()]);
}

function provedKey(publicKey: string, proof: string, secret: Uint8Array): KeyObject {
  const refuse = (reason: string): never => {
    throw new TidewireError("CERTIFICATE_REFUSED", { kind: "public key", reason });
  };
  let key: KeyObject;
  try {
    key = createPublicKey(publicKey);
  } catch {
    return refuse("it cannot be read");
  }
  const fault = keyFault(key);
  if (fault !== null) return refuse(fault);
  const digest = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return verify(digest, joinProof(secret), key, Buffer.from(proof, "base64"))
    ? key
    : refuse("its signature does not fit");
}
