/**
 * Keys that never leave a token (PKCS#11: an HSM, a smart card, SoftHSM). Named by a URI of RFC 7512:
 * `pkcs11:token=tidewire;object=issuing?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/tidewire/pin`.
 * `pkcs11js` is native and not among our dependencies: who has a token installs it beside Tidewire.
 */
import { createHash, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Signer } from "./signer.ts";

type Handle = Buffer;
type Attributes = readonly { readonly type: number; readonly value?: string | number | Buffer }[];

/** What we use of `pkcs11js`. */
export interface Pkcs11Library {
  load(path: string): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): readonly Handle[];
  C_GetTokenInfo(slot: Handle): { readonly label: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: Attributes): void;
  C_FindObjects(session: Handle, max: number): readonly Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(session: Handle, object: Handle, template: Attributes): readonly { readonly value: Buffer }[];
  C_SignInit(session: Handle, mechanism: { readonly mechanism: number }, key: Handle): void;
  C_Sign(session: Handle, data: Buffer, out: Buffer): Buffer;
}

/** Makes the library; the package's own unless a test has another. */
export type LoadPkcs11 = () => Promise<Pkcs11Library>;

/** PKCS#11 v2.40: object classes, attributes, the mechanism, session flags, user type. */
const CKO_PUBLIC_KEY = 2;
const CKO_PRIVATE_KEY = 3;
const CKA_CLASS = 0;
const CKA_LABEL = 3;
const CKA_EC_POINT = 0x181;
const CKM_ECDSA = 0x1041;
const CKF_SERIAL_SESSION = 4;
const CKU_USER = 1;
/** SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480). */
const SPKI_P256 = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex");
const POINT_BYTES = 65;

export function isTokenUri(text: string): boolean {
  return text.startsWith("pkcs11:");
}

export async function loadPkcs11(): Promise<Pkcs11Library> {
  const name = "pkcs11js"; // not among our dependencies, so not for the compiler to find
  const { PKCS11: Library } = (await import(name)) as { readonly PKCS11: new () => Pkcs11Library };
  return new Library();
}

/** The public half of the key that `uri` names. Throws TOKEN_UNUSABLE. */
export function tokenPublicKey(uri: string, load: LoadPkcs11 = loadPkcs11): Promise<KeyObject> {
  return withToken(uri, load, (library, session, object) => {
    const key = find(library, session, CKO_PUBLIC_KEY, object);
    const [point] = library.C_GetAttributeValue(session, key, [{ type: CKA_EC_POINT }]);
    // Within an OCTET STRING, or, from some tokens, without.
    const raw = point!.value.subarray(-POINT_BYTES);
    if (raw.length !== POINT_BYTES || raw[0] !== 4) throw new Error("its public key is not on the curve P-256");
    return createPublicKey({ key: Buffer.concat([SPKI_P256, raw]), format: "der", type: "spki" });
  });
}

/** A session for each signature: certificates are made rarely, and a token may be taken out and put back. */
export function tokenSigner(uri: string, publicKey: KeyObject, load: LoadPkcs11 = loadPkcs11): Signer {
  return {
    publicKey,
    sign: (data) =>
      withToken(uri, load, (library, session, object) => {
        const hash = createHash("sha256").update(data).digest();
        library.C_SignInit(session, { mechanism: CKM_ECDSA }, find(library, session, CKO_PRIVATE_KEY, object));
        return library.C_Sign(session, hash, Buffer.alloc(64));
      }),
  };
}

async function withToken<T>(
  uri: string,
  load: LoadPkcs11,
  work: (library: Pkcs11Library, session: Handle, object: string) => T,
): Promise<T> {
  const shown = uri.split("?")[0]!;
  try {
    const { token, object, modulePath, pin } = parse(uri);
    const library = await load();
    library.load(modulePath);
    library.C_Initialize();
    try {
      const slot = library.C_GetSlotList(true).find((one) => library.C_GetTokenInfo(one).label.trim() === token);
      if (slot === undefined) throw new Error(`no token named '${token}' is there`);
      const session = library.C_OpenSession(slot, CKF_SERIAL_SESSION);
      library.C_Login(session, CKU_USER, pin);
      try {
        return work(library, session, object);
      } finally {
        library.C_CloseSession(session);
      }
    } finally {
      library.C_Finalize();
    }
  } catch (error) {
    throw new TidewireError("TOKEN_UNUSABLE", { uri: shown, reason: reasonOf(error) }, { cause: error });
  }
}

function find(library: Pkcs11Library, session: Handle, kind: number, label: string): Handle {
  library.C_FindObjectsInit(session, [
    { type: CKA_CLASS, value: kind },
    { type: CKA_LABEL, value: label },
  ]);
  const [found] = library.C_FindObjects(session, 1);
  library.C_FindObjectsFinal(session);
  if (found === undefined)
    throw new Error(`it holds no ${kind === CKO_PUBLIC_KEY ? "public" : "private"} key '${label}'`);
  return found;
}

function parse(uri: string) {
  const [path = "", query = ""] = uri.slice("pkcs11:".length).split("?");
  const attributes = new Map(
    [...path.split(";"), ...query.split("&")].map((pair) => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))] as const;
    }),
  );
  const get = (name: string): string => {
    const value = attributes.get(name);
    if (value === undefined || value === "") throw new Error(`the URI lacks ${name}`);
    return value;
  };
  const pin = readFileSync(get("pin-source").replace(/^file:/, ""), "utf8").replace(/\r?\n$/, "");
  return { token: get("token"), object: get("object"), modulePath: get("module-path"), pin };
}
