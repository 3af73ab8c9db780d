import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, test } from "node:test";
import { ScramExchange, parseScramVerifier, prepared, scramVerifier } from "./scram.ts";
import type { ScramHash, ScramOptions, ScramStep } from "./scram.ts";

const hash: ScramHash = {
  sha256: (data) => new Uint8Array(createHash("sha256").update(data).digest()),
  hmacSha256: (key, data) => new Uint8Array(createHmac("sha256", key).update(data).digest()),
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const words = (step: ScramStep): string => ("data" in step ? new TextDecoder().decode(step.data) : step.reason);

function verifierOf(password: string, salt: Uint8Array, iterations = 4096): string {
  return scramVerifier(hash, new Uint8Array(pbkdf2Sync(password, salt, iterations, 32, "sha256")), salt, iterations);
}

/** RFC 7677, section 3. */
const RFC = {
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  serverFirst: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  verifier: verifierOf("pencil", new Uint8Array(Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"))),
};

function exchange(options: Partial<ScramOptions> = {}): ScramExchange {
  const users = new Map([["user", RFC.verifier]]);
  return new ScramExchange({
    hash,
    find: (user) => parseScramVerifier(users.get(user) ?? ""),
    serverNonce: RFC.serverNonce,
    decoySecret: bytes("decoy"),
    ...options,
  });
}

/** The client's side, for users and passwords of our own. */
function clientFinal(first: string, serverFirst: string, password: string, header = "n,,"): string {
  const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst)!;
  const salted = pbkdf2Sync(password, Buffer.from(salt!, "base64"), Number(iterations), 32, "sha256");
  const clientKey = hash.hmacSha256(salted, bytes("Client Key"));
  const unproved = `c=${Buffer.from(header).toString("base64")},r=${nonce!}`;
  const signed = bytes(`${first.slice(header.length)},${serverFirst},${unproved}`);
  const signature = hash.hmacSha256(hash.sha256(clientKey), signed);
  return `${unproved},p=${Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!)).toString("base64")}`;
}

describe("SCRAM-SHA-256", () => {
  test("the exchange of RFC 7677, byte by byte", () => {
    const server = exchange();
    const first = server.step(bytes(RFC.clientFirst));
    assert.deepEqual([first.kind, words(first)], ["continue", RFC.serverFirst]);
    const last = server.step(bytes(RFC.clientFinal));
    assert.deepEqual([last.kind, words(last)], ["authenticated", RFC.serverFinal]);
    assert.equal(last.kind === "authenticated" && last.user, "user");
  });

  test("a client that begins without data is asked on", () => {
    const server = exchange();
    assert.deepEqual(words(server.step(null)), "");
    assert.equal(words(server.step(bytes(RFC.clientFirst))), RFC.serverFirst);
  });

  test("a wrong password and an unknown user are refused alike, and the unknown one's salt is always the same", () => {
    const answers = ["user", "nobody"].map((user) => {
      const server = exchange();
      const first = `n,,n=${user},r=abcdef`;
      const asked = words(server.step(bytes(first)));
      const again = words(exchange().step(bytes(first)));
      assert.equal(asked, again);
      return [asked.replace(/s=[^,]+/, ""), server.step(bytes(clientFinal(first, asked, "wrong")))] as const;
    });
    assert.deepEqual(answers[0], answers[1]);
    assert.equal(answers[0]![1].kind, "failed");
  });

  test("names with commas, equals signs and other scripts; what looks alike is the same", () => {
    for (const [asked, user] of [
      ["a=2Cb=3Dc", "a,b=c"],
      ["J\u00f6rg", "J\u00f6rg"],
      ["Jo\u0308rg", "J\u00f6rg"],
      ["\u2168", "IX"],
      ["I\u00adX", "IX"],
    ] as const) {
      const verifier = verifierOf("pw", bytes("12345678"));
      const server = exchange({ find: (name) => (name === user ? parseScramVerifier(verifier) : null) });
      const first = `n,,n=${asked},r=abcdef`;
      const answer = server.step(bytes(clientFinal(first, words(server.step(bytes(first))), "pw")));
      assert.equal(answer.kind === "authenticated" && answer.user, user);
    }
  });

  test("`y` and one's own name to act as are fine; somebody else's name and channel binding are not", () => {
    for (const [header, ok] of [
      ["y,,", true],
      ["n,a=user,", true],
      ["n,a=root,", false],
      ["p=tls-exporter,,", false],
    ] as const) {
      const server = exchange();
      const first = `${header}n=user,r=abcdef`;
      const asked = server.step(bytes(first));
      assert.equal(asked.kind, ok ? "continue" : "failed", header);
      if (!ok) continue;
      assert.equal(server.step(bytes(clientFinal(first, words(asked), "pencil", header))).kind, "authenticated");
    }
  });

  for (const first of [
    "",
    "x",
    "n,,r=abc",
    "n,,n=,r=abc",
    "n,,n=user",
    "n,,n=user,r=",
    "n,,n=us=er,r=abc",
    "n,,m=1,n=user,r=abc",
    "n,,n=u\u0000,r=abc",
    "n,,n=user,r=a b",
    `n,,n=user,r=${"x".repeat(3000)}`,
    "\ufffdn,,n=user,r=abc",
  ]) {
    test(`a first message that is wrong: ${JSON.stringify(first).slice(0, 40)}`, () => {
      const server = exchange();
      const answer = server.step(bytes(first));
      if (first === "") assert.deepEqual(words(answer), "");
      else assert.equal(answer.kind, "failed");
    });
  }

  const final = RFC.clientFinal;
  for (const [what, message] of [
    ["nothing", ""],
    ["another nonce", final.replace("r=rOpr", "r=xOpr")],
    ["another header", final.replace("c=biws", "c=eSws")],
    ["no proof", final.replace(/,p=.*/, "")],
    ["a proof that is cut", final.replace("dVQ=", "")],
    ["a proof that is no base64", final.replace("dHzb", "d!zb")],
    ["something behind the proof", `${final},x=y`],
    ["an extension that is not signed", final.replace(",p=", ",x=y,p=")],
  ] as const) {
    test(`a last message with ${what} is refused, and there is no second try`, () => {
      const server = exchange();
      server.step(bytes(RFC.clientFirst));
      assert.equal(server.step(bytes(message)).kind, "failed");
      assert.equal(server.step(bytes(final)).kind, "failed");
    });
  }

  test("what was proved once proves nothing under another nonce", () => {
    const server = exchange({ serverNonce: "another-nonce-of-the-server" });
    server.step(bytes(RFC.clientFirst));
    assert.equal(server.step(bytes(final)).kind, "failed");
  });

  test("stored keys that are not usable are not taken", () => {
    assert.notEqual(parseScramVerifier(RFC.verifier), null);
    for (const wrong of [
      "",
      "pencil",
      RFC.verifier.replace("4096", "1000"),
      RFC.verifier.replace("256", "512"),
      RFC.verifier.slice(0, -4),
      RFC.verifier.replace("W22Z", "!!!!"),
    ]) {
      assert.equal(parseScramVerifier(wrong), null, wrong);
    }
  });

  test("RFC 4013's examples", () => {
    assert.deepEqual(["I\u00adX", "user", "USER", "\u00aa", "\u2168", "\u0007", "\u00ad", "a\u00a0b"].map(prepared), [
      "IX",
      "user",
      "USER",
      "a",
      "IX",
      null,
      null,
      "a b",
    ]);
  });
});
