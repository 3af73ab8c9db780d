/** Examples of `--help` as a shell would read them. */

const WORD = /'([^']*)'|"([^"]*)"|([^\s'"|]+)/gy;

/** Arguments of each `tidewire` in a line; what stands behind two blanks explains it. */
export function commandsIn(example: string): readonly (readonly string[])[] {
  return pipeline(example).flatMap(([program, ...words]) => (program === "tidewire" ? [words] : []));
}

function pipeline(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  for (let at = 0; at < line.length && !line.startsWith("  ", at);) {
    if (line[at] === " ") at++;
    else if (line[at] === "|") {
      commands.push([]);
      at++;
    } else {
      WORD.lastIndex = at;
      const [text, single, double, plain] = WORD.exec(line)!;
      commands.at(-1)!.push((single ?? double ?? plain)!);
      at += text.length;
    }
  }
  return commands.map(withoutRedirections);
}

function withoutRedirections(words: readonly string[]): readonly string[] {
  const end = words.findIndex((word) => /^(?:<|>>?)$/.test(word));
  return end < 0 ? words : words.slice(0, end);
}
