/** Addresses and CIDR ranges of IPv4 and IPv6 as numbers, for the IpAddress condition. RFC 4291, RFC 4632. */

export interface IpRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** IPv4 addresses live in ::ffff:0:0/96, so that one arithmetic covers both. */
const V4_BASE = 0xffff_0000_0000n;

/** `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`; `null` where it is neither. Bits after the prefix are ignored. */
export function parseIpRange(text: string): IpRange | null {
  const [address = "", prefix, ...rest] = text.split("/");
  const start = parseIp(address);
  if (start === null || rest.length > 0) return null;
  const width = address.includes(":") ? 128 : 32;
  if (prefix !== undefined && !/^[0-9]{1,3}$/.test(prefix)) return null;
  const length = prefix === undefined ? width : Number(prefix);
  if (length > width) return null;
  const free = 1n << BigInt(width - length);
  const first = start - (start % free);
  return { first, last: first + free - 1n };
}

export function parseIp(text: string): bigint | null {
  if (!text.includes(":")) {
    const v4 = parseV4(text);
    return v4 === null ? null : V4_BASE + v4;
  }
  const unzoned = text.split("%")[0]!;
  const halves = unzoned.split("::");
  if (halves.length > 2) return null;
  const head = groupsOf(halves[0]!);
  const tail = halves.length === 2 ? groupsOf(halves[1]!) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n);
}

function parseV4(text: string): bigint | null {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255))
    return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

/** The 16-bit groups of one side of `::`; the last may be written as IPv4. */
function groupsOf(text: string): readonly number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part);
      if (v4 === null) return null;
      groups.push(Number(v4 >> 16n), Number(v4 & 0xffffn));
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}
