import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { SimClock, SimLogger } from "../../../sim/world.ts";
import { isTidewireError } from "../../base/mod.ts";
import type { AuthorityState } from "../pki/authority-state.ts";
import { CertificateAuthority } from "../pki/authority.ts";
import { openSecrets } from "./secrets.ts";
import type { SecretFile, Secrets } from "./secrets.ts";

let root: string;
let folder: string;
let logger: SimLogger;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tidewire-secrets-"));
  folder = join(root, "secrets");
  logger = new SimLogger();
});
afterEach(() => rmSync(root, { recursive: true }));

const mode = (path: string): number => statSync(path).mode & 0o777;
const at = (file: string): string => join(folder, file);

/** A whole first start: secrets, CA, server certificate. */
async function start(onStep?: (step: string) => void): Promise<Secrets> {
  const secrets = openSecrets(folder, onStep === undefined ? { logger } : { logger, onStep });
  const authority = await CertificateAuthority.open({ secrets, clock: new SimClock(), logger, host: "test" });
  await authority.serverCertificate({ names: ["localhost"], addresses: ["127.0.0.1"] });
  return secrets;
}

function damaged(file: SecretFile, says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTidewireError(error), String(error));
    assert.equal(error.code, "SECRET_DAMAGED");
    assert.match(error.message, new RegExp(`secrets/${file.replace(".", "\\.")} `));
    assert.match(error.message, says);
    assert.match(error.fix, /Restore|Delete/);
    assert.doesNotMatch(error.fix, /[{}]/);
    return true;
  };
}

describe("first start", () => {
  test("makes folder 0700 and files 0600, a token of 256 bits, and shows the token once", async () => {
    const first = await start();
    assert.equal(mode(folder), 0o700);
    assert.deepEqual(readdirSync(folder).sort(), [
      "admin-token",
      "authority.json",
      "ca.crt",
      "ca.key",
      "checksums",
      "server.crt",
      "server.key",
      "session-key",
    ]);
    for (const file of readdirSync(folder)) assert.equal(mode(at(file)), 0o600, file);
    assert.match(first.adminToken, /^tw_[A-Za-z0-9_-]{43}$/);
    assert.equal(first.sessionKey.length, 32);
    assert.equal(first.adminTokenIsNew, true);
    const second = await start();
    assert.equal(second.adminTokenIsNew, false);
    assert.equal(second.adminToken, first.adminToken);
    assert.deepEqual(second.sessionKey, first.sessionKey);
    assert.equal(second.read("ca.crt"), first.read("ca.crt"));
    assert.equal(second.read("server.crt"), first.read("server.crt"));
  });

  test("no secret reaches the log", async () => {
    const secrets = await start();
    const log = JSON.stringify(logger.lines);
    for (const secret of [
      secrets.adminToken,
      secrets.read("ca.key")!,
      Buffer.from(secrets.sessionKey).toString("base64url"),
    ]) {
      assert.ok(!log.includes(secret.trim()));
    }
    assert.ok(!log.includes("PRIVATE"));
  });

  test("a crash before any step of it: the next start completes it, and what was complete stays as it was", async () => {
    let steps = 0;
    await start(() => steps++);
    assert.ok(steps >= 30, `${steps} steps`);
    for (let crashAt = 0; crashAt < steps; crashAt++) {
      rmSync(folder, { recursive: true });
      let step = 0;
      await assert.rejects(
        start(() => {
          if (step++ === crashAt) throw new Error("power cut");
        }),
      );
      const left = new Map(
        readdirSync(folder)
          .filter((file) => !file.startsWith(".") && file !== "checksums")
          .map((file) => [file, readFileSync(at(file), "utf8")]),
      );
      const secrets = await start();
      for (const [file, content] of left)
        assert.equal(secrets.read(file as SecretFile), content, `${file}, step ${crashAt}`);
      assert.equal(readdirSync(folder).length, 8, `no leftovers, step ${crashAt}`);
      assert.ok(
        new X509Certificate(secrets.read("server.crt")!).checkIssued(
          new X509Certificate((JSON.parse(secrets.read("authority.json")!) as AuthorityState).issuer.certificate),
        ),
      );
    }
  });
});

describe("permissions", () => {
  test("a secret that others could read is closed, and told", async () => {
    await start();
    chmodSync(at("ca.key"), 0o644);
    chmodSync(at("server.key"), 0o400);
    chmodSync(folder, 0o755);
    logger.lines.length = 0;
    await start();
    assert.deepEqual([mode(at("ca.key")), mode(at("server.key")), mode(folder)], [0o600, 0o600, 0o700]);
    const warned = logger.lines
      .filter((line) => line.level === "warn")
      .map((line) => [line.fields["path"], line.fields["was"]]);
    assert.deepEqual(warned, [
      [folder, "0755"],
      [at("ca.key"), "0644"],
    ]);
  });

  for (const [title, prepare] of [
    ["a file in the folder's place", () => writeFileSync(folder, "x")],
    ["a folder in a file's place", () => mkdirSync(at("ca.key"), { recursive: true })],
    [
      "a file in the parent's place",
      () => ((folder = join(folder, "deeper")), writeFileSync(join(root, "secrets"), "x")),
    ],
  ] as const) {
    test(`${title} is one clear sentence`, () => {
      prepare();
      assert.throws(
        () => openSecrets(folder, { logger }),
        (error) => isTidewireError(error) && error.code === "SECRETS_UNUSABLE" && error.message.includes(folder),
      );
    });
  }
});

describe("damage is named and never repaired by making something new", () => {
  const swap = async (): Promise<void> => {
    await start();
    const [key, crt] = [readFileSync(at("ca.key")), readFileSync(at("ca.crt"))];
    rmSync(folder, { recursive: true });
    await start();
    writeFileSync(at("other.key"), key);
    writeFileSync(at("other.crt"), crt);
  };
  const cases: readonly (readonly [title: string, file: SecretFile, says: RegExp, harm: () => void | Promise<void>])[] =
    [
      [
        "CA key of another CA",
        "ca.key",
        /does not fit ca\.crt/,
        async () => {
          await swap();
          writeFileSync(at("ca.key"), readFileSync(at("other.key")));
        },
      ],
      [
        "CA certificate of another CA",
        "ca.key",
        /does not fit ca\.crt/,
        async () => {
          await swap();
          writeFileSync(at("ca.crt"), readFileSync(at("other.crt")));
        },
      ],
      [
        "server key that does not fit",
        "server.key",
        /does not fit server\.crt/,
        async () => {
          await swap();
          writeFileSync(at("server.key"), readFileSync(at("other.key")));
        },
      ],
      [
        "half a CA key",
        "ca.key",
        /no private key/,
        () => writeFileSync(at("ca.key"), readFileSync(at("ca.key"), "utf8").slice(0, 80)),
      ],
      ["empty CA certificate", "ca.crt", /no certificate/, () => writeFileSync(at("ca.crt"), "")],
      ["CA key missing", "ca.key", /missing/, () => rmSync(at("ca.key"))],
      ["CA certificate missing after the CA served", "ca.crt", /missing/, () => rmSync(at("ca.crt"))],
      ["server key missing", "server.key", /missing/, () => rmSync(at("server.key"))],
      [
        "server certificate cut",
        "server.crt",
        /no certificate/,
        () => writeFileSync(at("server.crt"), "-----BEGIN CERT"),
      ],
      ["empty token", "admin-token", /no token/, () => writeFileSync(at("admin-token"), "")],
      ["zeroed session key", "session-key", /no key/, () => writeFileSync(at("session-key"), new Uint8Array(44))],
    ];
  for (const [title, file, says, harm] of cases) {
    test(title, async () => {
      await start();
      await harm();
      const before = readdirSync(folder).map((name) => [name, readFileSync(at(name), "utf8")]);
      assert.throws(() => openSecrets(folder, { logger }), damaged(file, says));
      assert.deepEqual(
        readdirSync(folder).map((name) => [name, readFileSync(at(name), "utf8")]),
        before,
      );
    });
  }

  test("the whole folder gone from a data folder that served before", () => {
    assert.throws(() => openSecrets(folder, { logger, established: true }), damaged("ca.key", /had it before/));
  });

  test("a CA certificate that is no CA's", async () => {
    await start();
    writeFileSync(at("ca.crt"), readFileSync(at("server.crt")));
    writeFileSync(at("ca.key"), readFileSync(at("server.key")));
    rmSync(at("checksums"));
    await assert.rejects(start(), damaged("ca.crt", /not a certificate authority's/));
  });

  test("a server certificate that another CA issued is not written over", async () => {
    await start();
    const other = join(root, "other");
    const secrets = openSecrets(other, { logger });
    const authority = await CertificateAuthority.open({ secrets, clock: new SimClock(), logger, host: "other" });
    const { keyPem } = await authority.serverCertificate({ names: ["other"], addresses: [] });
    writeFileSync(at("server.key"), keyPem);
    writeFileSync(at("server.crt"), secrets.read("server.crt")!);
    rmSync(at("checksums"));
    await assert.rejects(start(), damaged("server.crt", /not issued by the CA beside it/));
    assert.equal(readFileSync(at("server.crt"), "utf8"), secrets.read("server.crt"));
  });

  test("what the remedy for a server certificate says works", async () => {
    const before = (await start()).read("ca.crt");
    writeFileSync(at("server.key"), "x");
    assert.throws(() => openSecrets(folder, { logger }), damaged("server.key", /no private key/));
    rmSync(at("server.key"));
    rmSync(at("server.crt"));
    assert.equal((await start()).read("ca.crt"), before);
  });

  test("one wrong letter in a token or key, one flipped bit in a certificate: noticed, although each would pass for a good one", async () => {
    for (const file of [
      "admin-token",
      "session-key",
      "ca.crt",
      "ca.key",
      "authority.json",
      "server.crt",
      "server.key",
    ] as const) {
      rmSync(folder, { recursive: true, force: true });
      await start();
      const whole = readFileSync(at(file), "utf8");
      const letter = file.includes("-") ? 10 : whole.indexOf("-----END") - 10;
      writeFileSync(
        at(file),
        `${whole.slice(0, letter)}${whole[letter] === "A" ? "B" : "A"}${whole.slice(letter + 1)}`,
      );
      assert.throws(
        () => openSecrets(folder, { logger }),
        (error) =>
          isTidewireError(error) && error.code === "SECRET_DAMAGED" && error.message.includes(`secrets/${file} `),
        file,
      );
    }
  });

  test("a secret that was changed on purpose is taken when the checksums are deleted, as the sentence says", async () => {
    await start();
    const token = `tw_${"x".repeat(43)}`;
    writeFileSync(at("admin-token"), `${token}\n`);
    assert.throws(() => openSecrets(folder, { logger }), damaged("admin-token", /delete .*secrets\/checksums/));
    rmSync(at("checksums"));
    assert.equal((await start()).adminToken, token);
    assert.equal((await start()).adminToken, token);
  });

  test("damaged checksums are told and made anew; a folder of an earlier Tidewire gets some", async () => {
    await start();
    logger.lines.length = 0;
    writeFileSync(at("checksums"), readFileSync(at("checksums"), "utf8").replace(/^./, "g"));
    await start();
    assert.ok(logger.lines.some(({ level, message }) => level === "warn" && message.includes("checksums")));
    rmSync(at("checksums"));
    await start();
    const whole = readFileSync(at("session-key"), "utf8");
    writeFileSync(at("session-key"), whole.replace(/^./, whole.startsWith("A") ? "B" : "A"));
    assert.throws(() => openSecrets(folder, { logger }), damaged("session-key", /not as it was written/));
  });
});
