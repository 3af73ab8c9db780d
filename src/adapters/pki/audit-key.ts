/**
 * The key that signs the audit log's checkpoints (Ed25519, RFC 8032): `secrets/audit.key`, encrypted where the CA's keys are,
 * and `audit.pub` for whoever verifies.
 */
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { CheckpointSigner, CheckpointVerifier } from "../../audit/mod.ts";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import { damaged } from "../secrets/secrets.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { publicKeyPem } from "./device-key.ts";
import { KeyVault, isSealed } from "./key-vault.ts";

const KIND = "ed25519";

/** Makes it where there is none. Throws SECRET_DAMAGED, CA_KEY_LOCKED, CA_PASSPHRASE_WRONG, SECRETS_UNUSABLE. */
export async function openAuditKey(secrets: Secrets, passphrase: string | null): Promise<CheckpointSigner> {
  const vault = new KeyVault(passphrase);
  const [text, shown] = [secrets.read("audit.key"), secrets.read("audit.pub")];
  if (text === null && shown !== null)
    throw damaged(secrets.folder, "audit.key", "it is missing, but audit.pub is there");
  const key = text === null ? generateKeyPairSync(KIND).privateKey : opened(secrets, vault, text);
  const publicKey = createPublicKey(key);
  const pem = publicKeyPem(publicKey);
  if (shown !== null && shown !== pem) throw damaged(secrets.folder, "audit.pub", "it does not fit audit.key");
  if (text === null || (vault.sealing && !isSealed(text))) secrets.write("audit.key", await vault.seal(key));
  if (shown === null) secrets.write("audit.pub", pem);
  return {
    key: keyIdOf(publicKey),
    publicKey: pem,
    isNew: text === null,
    sign: (said) => sign(null, Buffer.from(said), key).toString("base64"),
  };
}

function opened(secrets: Secrets, vault: KeyVault, text: string): KeyObject {
  let key: KeyObject;
  try {
    key = vault.open(text, `${secrets.folder}/audit.key`);
  } catch (error) {
    if (error instanceof TidewireError) throw error;
    throw damaged(secrets.folder, "audit.key", "it holds no private key in PEM form");
  }
  if (key.asymmetricKeyType !== KIND) throw damaged(secrets.folder, "audit.key", "it is no Ed25519 key");
  return key;
}

/** PEM texts, each with one public key. Throws REQUEST_INVALID; `name`: of its file, for the message. */
export function checkpointVerifier(
  keys: readonly { readonly name: string; readonly pem: string }[],
): CheckpointVerifier {
  const known = new Map(
    keys.map(({ name, pem }) => {
      const key = publicKeyIn(name, pem);
      return [keyIdOf(key), key] as const;
    }),
  );
  return (id, text, signature) => {
    const key = known.get(id);
    return key === undefined ? null : verify(null, Buffer.from(text), key, Buffer.from(signature, "base64"));
  };
}

function publicKeyIn(name: string, pem: string): KeyObject {
  const wrong = (reason: string): TidewireError =>
    new TidewireError("REQUEST_INVALID", { reason: `${name} holds no public key of an audit log: ${reason}` });
  // Node would take the public part of a private key, which has no business there.
  if (!pem.includes("BEGIN PUBLIC KEY")) throw wrong("it has no 'BEGIN PUBLIC KEY'");
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    throw wrong(reasonOf(error));
  }
  if (key.asymmetricKeyType !== KIND) throw wrong("it is no Ed25519 key");
  return key;
}

function keyIdOf(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");
}
