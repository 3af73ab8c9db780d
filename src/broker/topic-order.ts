/**
 * The order of topics in the state store: level by level, each level by code point, a topic before those below it. So all
 * that is below a level stands together, whatever its siblings are called (`a`, `a/x`, `a-1`), and can be passed over.
 */

const SLASH = 0x2f;
const SURROGATES = 0xd800;
const BEYOND_SURROGATES = 0xe000;

/** Below 0 where `a` comes first, above 0 where `b` does. */
export function compareTopics(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 has the code points above U+FFFF, as surrogates, in front of U+E000; UTF-8 has them behind. */
function rank(unit: number): number {
  if (unit === SLASH) return -1;
  if (unit < SURROGATES) return unit;
  return unit < BEYOND_SURROGATES ? unit + 0x2000 : unit - 0x800;
}
