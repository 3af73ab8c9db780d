import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { newDeviceKey } from "../adapters/device-identity.ts";
import { ConnectionCounts, listenMqtt } from "../adapters/net/mod.ts";
import { checkChain, checkVerification } from "../adapters/pki/mod.ts";
import { readCertificate } from "../adapters/pki/facts.ts";
import { loadX509 } from "../adapters/pki/x509.ts";
import { LIMITS, days } from "../base/mod.ts";
import { apiWorld } from "./api/api.fixture.ts";
import type { ApiWorld } from "./api/api.fixture.ts";
import { RegistryGatekeeper } from "./gatekeeper.ts";
import { StandaloneCertificates } from "./standalone-certificates.ts";
import { systemScheduler } from "../adapters/system.ts";

interface Pair {
  readonly cert: string;
  readonly key: string;
}

interface Making {
  readonly by?: Pair;
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly usage?: "client" | "server" | "none";
  readonly from?: number;
  readonly until?: number;
  readonly mayCertify?: boolean;
}

const now = (): number => Date.now();

async function make(name: string, of: Making = {}): Promise<Pair> {
  const x509 = await loadX509();
  const key = newDeviceKey();
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const cryptoKey = (pem: string): ReturnType<KeyObject["toCryptoKey"]> =>
    createPrivateKey(pem).toCryptoKey(algorithm, true, ["sign"]);
  const issuer = of.by === undefined ? null : new x509.X509Certificate(of.by.cert);
  const { KeyUsageFlags: flags } = x509;
  const usage = of.usage ?? "client";
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: issuer?.subject ?? `CN=${name}`,
    notBefore: new Date(now() + (of.from ?? days(-1))),
    notAfter: new Date(now() + (of.until ?? days(10))),
    publicKey: new x509.PublicKey(createPublicKey(key).export({ type: "spki", format: "der" })),
    signingKey: cryptoKey(of.by?.key ?? key),
    signingAlgorithm: algorithm,
    extensions: of.ca
      ? [
          new x509.BasicConstraintsExtension(true, of.pathLength, true),
          new x509.KeyUsagesExtension(of.mayCertify === false ? flags.cRLSign : flags.keyCertSign, true),
        ]
      : [
          new x509.BasicConstraintsExtension(false, undefined, true),
          ...(usage === "none"
            ? []
            : [new x509.ExtendedKeyUsageExtension([`1.3.6.1.5.5.7.3.${usage === "client" ? 2 : 1}`])]),
        ],
  });
  return { cert: `${certificate.toString("pem")}\n`, key };
}

let ca: Pair;
before(async () => {
  ca = await make("Own CA", { ca: true });
});

describe("a chain of certificates", () => {
  const verdict = async (certificate: string, others: readonly string[] = [], anchors = [ca.cert]): Promise<string> => {
    const found = await checkChain({ certificate, others, anchors, now: now() });
    return found.ok ? "ok" : found.reason;
  };

  test("of a registered CA, directly and over CAs between, in any order", async () => {
    const between = await make("between", { by: ca, ca: true, pathLength: 1 });
    const below = await make("below", { by: between, ca: true, pathLength: 0 });
    const leaf = await make("dev", { by: below });
    assert.equal(await verdict((await make("dev", { by: ca })).cert), "ok");
    assert.equal(await verdict(leaf.cert, [below.cert, between.cert]), "ok");
    assert.equal(await verdict(leaf.cert, [between.cert, below.cert]), "ok");
    assert.equal(await verdict(leaf.cert, [between.cert], [below.cert]), "ok", "a CA is trusted as it stands");
    assert.equal(await verdict((await make("dev", { by: ca, usage: "none" })).cert), "ok");
  });

  for (const [what, says, chain] of [
    [
      "expired",
      /^the certificate expired on/,
      async () => [await make("dev", { by: ca, from: days(-9), until: days(-1) })],
    ],
    ["not yet valid", /is valid from/, async () => [await make("dev", { by: ca, from: days(1) })]],
    ["a server's", /lacks clientAuth/, async () => [await make("dev", { by: ca, usage: "server" })]],
    ["of another CA", /not known here/, async () => [await make("dev", { by: await make("Other CA", { ca: true }) })]],
    [
      "of a CA of the same name",
      /not known here/,
      async () => [await make("dev", { by: await make("Own CA", { ca: true }) })],
    ],
    ["self-signed", /self-signed/, async () => [await make("dev")]],
    [
      "below a device's certificate",
      /not a CA's/,
      async () => {
        const device = await make("between", { by: ca });
        return [await make("dev", { by: device }), device];
      },
    ],
    [
      "below a CA that may not certify",
      /keyCertSign/,
      async () => {
        const crl = await make("between", { by: ca, ca: true, mayCertify: false });
        return [await make("dev", { by: crl }), crl];
      },
    ],
    [
      "below an expired CA",
      /a CA's certificate expired/,
      async () => {
        const old = await make("between", { by: ca, ca: true, from: days(-9), until: days(-1) });
        return [await make("dev", { by: old }), old];
      },
    ],
    [
      "deeper than a CA allows",
      /allows 0 CA/,
      async () => {
        const ends = await make("ends", { by: ca, ca: true, pathLength: 0 });
        const below = await make("below", { by: ends, ca: true });
        return [await make("dev", { by: below }), below, ends];
      },
    ],
    [
      "of eleven CAs",
      /more than 10/,
      async () => {
        const cas: Pair[] = [];
        for (let i = 0; i < 11; i++) cas.unshift(await make(`ca ${i}`, { by: cas[0] ?? ca, ca: true }));
        return [await make("dev", { by: cas[0]! }), ...cas];
      },
    ],
  ] as const satisfies readonly (readonly [string, RegExp, () => Promise<readonly Pair[]>])[]) {
    test(`${what} is refused in words`, async () => {
      const [leaf, ...others] = await chain();
      assert.match(
        await verdict(
          leaf!.cert,
          others.map(({ cert }) => cert),
        ),
        says,
      );
    });
  }

  test("what cannot be read, and a megabyte of it, is refused", async () => {
    assert.match(await verdict("nothing"), /cannot be read/);
    assert.match(await verdict("x".repeat(1_000_000)), /too large/);
    const { cert } = await make("dev", { by: ca });
    assert.match(await verdict(cert, ["rubbish"]), /cannot be read/);
  });
});

describe("who registers a CA proves to have its key", () => {
  const check = async (verificationPem: string, caPem = ca.cert): Promise<string> => {
    const found = await checkVerification({ caPem, verificationPem, registrationCode: "c0de", now: now() });
    return found.ok ? "ok" : found.reason;
  };

  test("by a certificate whose common name is the registration code", async () => {
    assert.equal(await check((await make("c0de", { by: ca })).cert), "ok");
    assert.match(await check((await make("other", { by: ca })).cert), /not the registration code/);
    assert.match(await check((await make("c0de")).cert), /not signed by the CA/);
    assert.match(
      await check((await make("c0de", { by: await make("Own CA", { ca: true }) })).cert),
      /not signed by the CA/,
    );
    assert.match(await check((await make("c0de", { by: ca, until: -1 })).cert), /verification certificate expired/);
    const device = await make("dev", { by: ca });
    assert.match(await check((await make("c0de", { by: device })).cert, device.cert), /not a CA's/);
  });
});

describe("over real TLS", () => {
  let world: ApiWorld;
  let listener: Awaited<ReturnType<typeof listenMqtt>>;
  let standalone: StandaloneCertificates;
  before(async () => {
    world = await apiWorld();
    const gatekeeper = new RegistryGatekeeper(world);
    standalone = new StandaloneCertificates({ registry: world.registry, scheduler: systemScheduler });
    await standalone.look();
    const { keyPem: key, chainPem: cert } = await world.authority.serverCertificate({
      names: ["localhost"],
      addresses: [],
    });
    listener = await listenMqtt({
      name: "mqtts",
      host: "127.0.0.1",
      port: 0,
      portOption: "--mqtts-port",
      tls: { key, cert, ca: [...world.authority.clientCas, ca.cert] },
      admitPeer: (id) => gatekeeper.admitPeer(id),
      unverified: standalone,
      accept: (transport) => {
        transport.destroy();
        accepted++;
        return { received: () => {}, closed: () => {}, drained: () => {} } as unknown as ReturnType<
          Parameters<typeof listenMqtt>[0]["accept"]
        >;
      },
      limits: LIMITS.mqtt,
      counts: new ConnectionCounts(),
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      logger: world.logger,
      metrics: world.metrics,
    });
  });
  after(async () => {
    await listener.close(0);
    standalone.close();
    await world[Symbol.asyncDispose]();
  });

  let accepted = 0;
  /** "in", or the last refusal's reason and hint. */
  async function come({ key, cert }: Pair): Promise<string> {
    const before = accepted;
    const lines = world.logger.lines.length;
    const socket = connect({
      host: "127.0.0.1",
      port: listener.port,
      servername: "localhost",
      ca: world.authority.certificatePem,
      key,
      cert,
    });
    socket.on("error", () => {});
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    if (accepted > before) return "in";
    const told = world.logger.lines.slice(lines).find(({ message }) => message.includes("refused by its listener"));
    return `${String(told?.fields?.["reason"])}: ${String(told?.fields?.["hint"])}`;
  }

  function register(pair: Pair, mode: "DEFAULT" | "SNI_ONLY" = "DEFAULT"): string {
    const facts = readCertificate(pair.cert);
    world.registry.certificates.register(pair.cert, facts, { certificateMode: mode });
    return facts.certificateId;
  }

  test("each bad certificate is refused with a reason in words, in log and metrics", async () => {
    const expired = await make("expired", { by: ca, from: days(-9), until: days(-1) });
    register(expired);
    for (const [pair, says] of [
      [expired, /certificate-expired: .*expired/],
      [await make("early", { by: ca, from: days(1) }), /certificate-not-yet-valid/],
      [await make("server", { by: ca, usage: "server" }), /certificate-wrong-usage: .*clientAuth/],
      [
        await make("other", { by: await make("Other CA", { ca: true }) }),
        /certificate-untrusted: .*not issued by this platform's CA/,
      ],
      [await make("self"), /certificate-self-signed/],
      [await make("unregistered", { by: ca }), /certificate-refused: .*not registered here/],
    ] as const) {
      assert.match(await come(pair), says);
    }
    const large = await make("large", { by: ca });
    const filler = (await make("filler", { ca: true })).cert;
    const megabyte = { key: large.key, cert: `${large.cert}${filler.repeat(2_000)}` };
    assert.match(await come(megabyte), /certificate-chain: .*100 KB/);
    const metrics = await world.metrics.render();
    for (const reason of ["certificate-wrong-usage", "certificate-self-signed", "certificate-chain"]) {
      assert.match(metrics, new RegExp(`tidewire_listener_refused_total\\{listener="mqtts",reason="${reason}"\\} 1`));
    }
  });

  test("a registered certificate of a registered CA is let in", async () => {
    const device = await make("of-own-ca", { by: ca });
    register(device);
    assert.equal(await come(device), "in");
  });

  test("one that was registered without its CA is let in, by itself: not others, and not once it is inactive or expired", async () => {
    const device = await make("alone");
    assert.notEqual(await come(device), "in");
    const id = register(device, "SNI_ONLY");
    assert.equal(await come(device), "in");
    assert.notEqual(await come(await make("alone")), "in", "of the same name only");
    const defaultMode = await make("default-mode");
    register(defaultMode);
    assert.notEqual(await come(defaultMode), "in");
    world.registry.certificates.updateStatus(id, "INACTIVE");
    assert.match(await come(device), /certificate-refused: .*inactive/);
    const late = await make("late", { from: days(-9), until: days(-1) });
    register(late, "SNI_ONLY");
    assert.match(await come(late), /expired/);
  });
});
