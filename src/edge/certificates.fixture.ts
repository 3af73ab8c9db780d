/** A throw-away certificate authority with a server and devices, for tests. */
import { webcrypto } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Extension } from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** It needs `reflect-metadata` to have been loaded before it. */
const x509 = await import("reflect-metadata").then(() => import("@peculiar/x509"));

type KeyPair = Awaited<ReturnType<typeof newKeys>>;

const DAY = 86_400_000;

export interface Issued {
  readonly certificate: string;
  readonly privateKey: string;
}

export interface Validity {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export class TestAuthority {
  readonly ca: string;
  readonly #keys: KeyPair;
  readonly #name: string;
  #serial = 1;

  private constructor(ca: string, keys: KeyPair, name: string) {
    this.ca = ca;
    this.#keys = keys;
    this.#name = name;
  }

  static async make(name = "CN=Test CA"): Promise<TestAuthority> {
    x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name,
      notBefore: new Date(Date.now() - DAY),
      notAfter: new Date(Date.now() + 30 * DAY),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
    });
    return new TestAuthority(certificate.toString("pem"), keys, name);
  }

  server(names: readonly string[] = ["localhost"], addresses: readonly string[] = ["127.0.0.1"]): Promise<Issued> {
    const alternatives = [
      ...names.map((value) => ({ type: "dns" as const, value })),
      ...addresses.map((value) => ({ type: "ip" as const, value })),
    ];
    return this.#issue("CN=broker", {}, [new x509.SubjectAlternativeNameExtension(alternatives)]);
  }

  device(thing: string, validity: Validity = {}): Promise<Issued> {
    return this.#issue(`CN=${thing}`, validity, []);
  }

  async #issue(subject: string, validity: Validity, extensions: Extension[]): Promise<Issued> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (++this.#serial).toString(16).padStart(4, "0"),
      subject,
      issuer: this.#name,
      notBefore: validity.notBefore ?? new Date(Date.now() - DAY),
      notAfter: validity.notAfter ?? new Date(Date.now() + 10 * DAY),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    });
    const der = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    return { certificate: certificate.toString("pem"), privateKey: x509.PemConverter.encode(der, "PRIVATE KEY") };
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** A device folder as `tidewire things add` makes it, in a temporary folder. */
export interface TestDevice {
  readonly folder: string;
  readonly config: string;
  remove(): void;
}

export interface TestDeviceOptions {
  readonly thing?: string;
  readonly broker: string;
  readonly ca: string;
  readonly issued: Issued;
  /** More lines of YAML. */
  readonly more?: string;
}

export function writeTestDevice({ thing = "dev", broker, ca, issued, more = "" }: TestDeviceOptions): TestDevice {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-agent-"));
  mkdirSync(join(folder, "data"), { mode: 0o700 });
  writeFileSync(join(folder, "device.crt"), issued.certificate);
  writeFileSync(join(folder, "device.key"), issued.privateKey);
  chmodSync(join(folder, "device.key"), 0o600);
  writeFileSync(join(folder, "ca.crt"), ca);
  const config = join(folder, "agent.yaml");
  writeFileSync(
    config,
    `# A device of a test.
thing: ${thing}
broker: ${broker}
certificate: device.crt
privateKey: device.key
ca: ca.crt
data: ./data
${more}
`,
  );
  return { folder, config, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
