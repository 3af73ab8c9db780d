/** Under which names and addresses this machine may be reached. */
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";

export interface ServerNames {
  /** DNS names. */
  readonly names: readonly string[];
  /** IPv4 and IPv6 addresses. */
  readonly addresses: readonly string[];
}

/** A certificate with more grows past what small TLS stacks take. */
const ADDRESSES_MAX = 50;

/** This host's name (also as `.local`, which mDNS answers), loopback, all interfaces, and what the operator adds. */
export function serverNames(extra: readonly string[] = []): ServerNames {
  const host = hostname();
  const own = [host, ...(host.includes(".") ? [] : [`${host}.local`])];
  const names = ["localhost", ...own, ...extra.filter((name) => isIP(name) === 0)];
  const interfaces = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((found) => found.scopeid === undefined || found.scopeid === 0) // link-local addresses mean nothing elsewhere
    .map((found) => found.address);
  const addresses = ["127.0.0.1", "::1", ...extra.filter((name) => isIP(name) !== 0), ...interfaces];
  return {
    names: [...new Set(names.map((name) => name.toLowerCase()))].filter(isDnsName),
    addresses: [...new Set(addresses)].slice(0, ADDRESSES_MAX),
  };
}

/** Also with a leading `*.` and with underscores, which hosts in the field have. */
export function isDnsName(name: string): boolean {
  return (
    name.length <= 253 &&
    /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(name)
  );
}
