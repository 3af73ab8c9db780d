/**
 * A reader for the plain sort of YAML that configuration files are written in: block and flow mappings and lists, plain and
 * quoted scalars, comments. It either reads a text as the full parser does or declines (`null`), and then the full one is
 * asked; a property test holds the two together. It exists because loading the full parser costs an agent 9 MB of memory
 * for as long as it runs.
 */

export type SimpleYaml = string | number | boolean | readonly SimpleYaml[] | { readonly [key: string]: SimpleYaml };

/** `null`: not simple enough, which is no judgement about its being correct. */
export function parseSimpleYaml(text: string): { readonly [key: string]: SimpleYaml } | null {
  try {
    const lines = linesOf(text);
    if (lines.length === 0) return null;
    const block = new Block(lines);
    const value = block.mapping(lines[0]!.indent);
    return block.done ? value : null;
  } catch (error) {
    if (error instanceof NotSimple) return null;
    throw error;
  }
}

class NotSimple extends Error {}

interface Line {
  readonly indent: number;
  readonly text: string;
}

const KEY = /^([A-Za-z_][A-Za-z0-9_-]*):(?: +(.*))?$/;
/** Characters without meaning to YAML anywhere inside a plain scalar, so neither ": " nor " #" can occur. */
const PLAIN = /^[A-Za-z0-9_./][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*$/;
const COUNT = /^(?:0|[1-9][0-9]{0,14})$/;
/** What YAML 1.2's core schema, or an older reader, might take for something else than text. */
const MEANINGFUL = /^(?:[-+.]?[0-9][0-9_,.:eExXoO+-]*|0[xXoO].*|\.(?:inf|nan)|null|true|false|yes|no|on|off|y|n|~)$/i;

function linesOf(text: string): readonly Line[] {
  const lines: Line[] = [];
  for (const raw of text.split(/\r?\n/)) {
    if (/[^\x20-\x7e]/.test(raw.replace(/#.*$/, ""))) throw new NotSimple();
    const line = raw.trimEnd();
    const body = line.trimStart();
    if (body === "" || body.startsWith("#")) continue;
    lines.push({ indent: line.length - body.length, text: withoutComment(body) });
  }
  return lines;
}

/** A comment starts with " #" outside of quotes; a quote or "#" in an odd place is left to the full parser. */
function withoutComment(body: string): string {
  const match = /^((?:[^"'#]|"[^"\\]*"|'[^']*')*?)(?: +#.*)?$/.exec(body);
  if (match === null) throw new NotSimple();
  return match[1]!.trimEnd();
}

class Block {
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  get done(): boolean {
    return this.#at === this.#lines.length;
  }

  mapping(indent: number): { [key: string]: SimpleYaml } {
    const value: { [key: string]: SimpleYaml } = {};
    for (let line = this.#here(indent); line !== null; line = this.#here(indent)) {
      if (isEntry(line)) break;
      this.#at++;
      this.#field(value, line.text, indent);
    }
    return value;
  }

  list(indent: number): SimpleYaml[] {
    const value: SimpleYaml[] = [];
    for (let line = this.#here(indent); line !== null && isEntry(line); line = this.#here(indent)) {
      const match = /^-( +)(\S.*)$/.exec(line.text);
      if (match === null) throw new NotSimple();
      this.#at++;
      const inner = indent + 1 + match[1]!.length;
      const text = match[2]!;
      if (!KEY.test(text)) {
        value.push(flowValue(text));
        continue;
      }
      const fields: { [key: string]: SimpleYaml } = {};
      this.#field(fields, text, inner);
      for (const [key, more] of Object.entries(this.mapping(inner))) add(fields, key, more);
      value.push(fields);
    }
    return value;
  }

  /** The next line if it stands at `indent`; a deeper one here belongs to nothing. */
  #here(indent: number): Line | null {
    const line = this.#lines[this.#at];
    if (line === undefined || line.indent < indent) return null;
    if (line.indent > indent) throw new NotSimple();
    return line;
  }

  #field(into: { [key: string]: SimpleYaml }, text: string, indent: number): void {
    const match = KEY.exec(text);
    if (match === null) throw new NotSimple();
    const [, key, rest] = match;
    add(into, key!, rest === undefined || rest === "" ? this.#below(indent) : flowValue(rest));
  }

  #below(indent: number): SimpleYaml {
    const next = this.#lines[this.#at];
    if (next === undefined || next.indent < indent) throw new NotSimple();
    if (isEntry(next)) return this.list(next.indent);
    if (next.indent === indent) throw new NotSimple(); // a key without a value: null
    return this.mapping(next.indent);
  }
}

function isEntry(line: Line): boolean {
  return line.text.startsWith("-");
}

function add(into: { [key: string]: SimpleYaml }, key: string, value: SimpleYaml): void {
  if (key in into) throw new NotSimple();
  scalarOf(key); // a key such as "null" or "yes" is the full parser's to judge
  if (MEANINGFUL.test(key)) throw new NotSimple();
  into[key] = value;
}

/** A scalar, or a flow collection on one line. */
function flowValue(text: string): SimpleYaml {
  const flow = new Flow(text);
  const value = flow.value();
  if (!flow.done) throw new NotSimple();
  return value;
}

class Flow {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    // A key is one token with its colon and the space that must follow it. Two scalars side by side (one with a space in
    // it, say) find no comma between them below, and are declined there.
    const tokens = text.match(/[[\]{},]|[A-Za-z_][A-Za-z0-9_-]*: +|"[^"\\]*"|'[^']*'|[^[\]{},"'\s]+| +/g) ?? [];
    if (tokens.join("") !== text) throw new NotSimple();
    this.#tokens = tokens.filter((token) => token.trim() !== "");
  }

  get done(): boolean {
    return this.#at === this.#tokens.length;
  }

  value(): SimpleYaml {
    const token = this.#next();
    if (token === "[") return this.#list();
    if (token === "{") return this.#mapping();
    return scalarOf(token);
  }

  #list(): SimpleYaml[] {
    const value: SimpleYaml[] = [];
    if (this.#skip("]")) return value;
    do value.push(this.value());
    while (this.#more("]"));
    return value;
  }

  #mapping(): { [key: string]: SimpleYaml } {
    const value: { [key: string]: SimpleYaml } = {};
    if (this.#skip("}")) return value;
    do {
      const key = this.#next();
      if (!key.endsWith(" ")) throw new NotSimple();
      add(value, key.trimEnd().slice(0, -1), this.value());
    } while (this.#more("}"));
    return value;
  }

  #more(end: string): boolean {
    if (this.#skip(",")) return true;
    if (this.#skip(end)) return false;
    throw new NotSimple();
  }

  #skip(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new NotSimple();
    return token;
  }
}

function scalarOf(token: string): SimpleYaml {
  if (token.startsWith('"') || token.startsWith("'")) return token.slice(1, -1);
  if (token === "true") return true;
  if (token === "false") return false;
  if (COUNT.test(token)) return Number(token);
  if (!PLAIN.test(token) || MEANINGFUL.test(token)) throw new NotSimple();
  return token;
}
