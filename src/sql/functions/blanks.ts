/** Spaces and tabs at the end. A loop, because /[ \t]+$/ takes quadratic time on long inner runs of blanks. */
export function withoutTrailingBlanks(text: string): string {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  return text.slice(0, end);
}
