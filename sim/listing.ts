/** Annotated bytes, as tests write them. */

/** Bytes of a listing: pairs of hex digits and 'quoted ASCII', and `//` comments to the end of the line. */
export function listing(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const line of text.split("\n")) {
    for (const [token] of line.replace(/\/\/.*$/, "").matchAll(/'[^']*'|\S+/g)) {
      if (token.startsWith("'")) for (const character of token.slice(1, -1)) bytes.push(character.charCodeAt(0));
      else if (/^[0-9a-f]{2}$/i.test(token)) bytes.push(Number.parseInt(token, 16));
      else throw new Error(`'${token}' is neither two hex digits nor quoted`);
    }
  }
  return Uint8Array.from(bytes);
}

/** The reverse, without the comments. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
