import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { copyBytes, decodeUtf8, encodeUtf8, encodeUtf8Into, utf8Fault, utf8Length } from "./bytes.ts";

const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function platformSays(bytes: Uint8Array): ReturnType<typeof utf8Fault> {
  try {
    return fatal.decode(bytes).includes("\0") ? "null-character" : null;
  } catch {
    return "ill-formed";
  }
}

suite("utf8Fault", () => {
  test("agrees with the platform on every pair and on the edges of longer sequences", () => {
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) {
        const bytes = Uint8Array.of(a, b);
        // A text with both faults is refused for the one that comes first.
        if (a === 0 || b === 0) assert.notEqual(utf8Fault(bytes, 0, 2), null);
        else assert.equal(utf8Fault(bytes, 0, 2), platformSays(bytes), `${a} ${b}`);
      }
    }
    const edges = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
    for (let lead = 0xe0; lead < 0x100; lead++) {
      for (const b of edges) {
        for (const c of edges) {
          assert.equal(utf8Fault(Uint8Array.of(lead, b, c), 0, 3), platformSays(Uint8Array.of(lead, b, c)));
          for (const d of edges) {
            const bytes = Uint8Array.of(lead, b, c, d);
            assert.equal(utf8Fault(bytes, 0, 4), platformSays(bytes), String(bytes));
          }
        }
      }
    }
  });

  test("looks at nothing outside its range", () => {
    const bytes = Uint8Array.of(0xff, 0x61, 0xc3, 0xa4, 0);
    assert.equal(utf8Fault(bytes, 1, 4), null);
    assert.equal(utf8Fault(bytes, 1, 3), "ill-formed");
    assert.equal(utf8Fault(bytes, 1, 5), "null-character");
    assert.equal(utf8Fault(bytes, 1, 1), null);
  });
});

suite("text", () => {
  test("any text comes back, at any place, short or long", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.nat(5), (text, at) => {
        const length = utf8Length(text);
        assert.equal(length, encodeUtf8(text).length);
        const target = new Uint8Array(at + length);
        assert.equal(encodeUtf8Into(text, target, at), at + length);
        assert.equal(decodeUtf8(target, at, at + length), text);
      }),
      { numRuns: 1000, seed: 1 },
    );
  });

  test("ASCII of every length around the point where the way of decoding changes", () => {
    for (let length = 0; length < 80; length++) {
      const text = "0123456789".repeat(8).slice(0, length);
      assert.equal(decodeUtf8(encodeUtf8(text), 0, length), text);
    }
  });

  test("lone surrogates count as the replacement character that is written", () => {
    for (const text of ["\ud800", "\udc00", "a\ud800b", "\ud800\ud800\udc00", "\udc00\ud800"]) {
      assert.equal(utf8Length(text), encodeUtf8(text).length, JSON.stringify(text));
    }
  });

  test("a leading U+FEFF stays", () => {
    assert.equal(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 0, 4), "\uFEFFa");
  });
});

test("copyBytes copies exactly its range, short and long", () => {
  const source = Uint8Array.from({ length: 200 }, (_, i) => i);
  for (const count of [0, 1, 31, 32, 33, 64, 150]) {
    const target = new Uint8Array(200).fill(0xee);
    assert.equal(copyBytes(target, 10, source, 5, 5 + count), 10 + count);
    assert.deepEqual(target.slice(10, 10 + count), source.slice(5, 5 + count));
    assert.equal(target[9], 0xee);
    assert.equal(target[10 + count], 0xee);
  }
});
