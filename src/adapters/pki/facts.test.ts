import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { describe, test } from "node:test";
import { readCertificate } from "./facts.ts";
import { loadX509 } from "./x509.ts";

type Name = { readonly type: "dns" | "ip" | "url" | "email" | "dn"; readonly value: string };

async function certificateWith(names: readonly Name[]): Promise<string> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=sensor-7, O=Example Corp, O=AnyCompany",
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])],
  });
  return certificate.toString("pem");
}

describe("what a certificate says", () => {
  test("names and alternative names by AWS IoT's names", async () => {
    const pem = await certificateWith([
      { type: "dns", value: "example.com" },
      { type: "dns", value: "*.example.com" },
      { type: "ip", value: "1.2.3.4" },
      { type: "url", value: "urn:ResourceIdentifier001" },
      { type: "email", value: "device1@example.com" },
      { type: "dn", value: "C=US,O=IoT,OU=SmartHome,CN=LightBulbCert" },
    ]);
    assert.deepEqual(readCertificate(pem).subject, {
      CommonName: ["sensor-7"],
      Organization: ["Example Corp", "AnyCompany"],
      "AlternativeName.DNSName": ["example.com", "*.example.com"],
      "AlternativeName.IPAddress": ["1.2.3.4"],
      "AlternativeName.UniformResourceIdentifier": ["urn:ResourceIdentifier001"],
      "AlternativeName.RFC822Name": ["device1@example.com"],
      "AlternativeName.DirectoryName": ["cn=LightBulbCert,ou=SmartHome,o=IoT,c=US"],
    });
  });

  test("none where there are none", async () => {
    assert.deepEqual(Object.keys(readCertificate(await certificateWith([])).subject), ["CommonName", "Organization"]);
  });

  test("a name that is written like two names is one", async () => {
    const forged = 'a.example.com, DNS:admin.example.com", URI:"x';
    const { subject } = readCertificate(await certificateWith([{ type: "url", value: forged }]));
    assert.deepEqual(subject["AlternativeName.UniformResourceIdentifier"], [forged]);
    assert.equal(subject["AlternativeName.DNSName"], undefined);
  });
});
