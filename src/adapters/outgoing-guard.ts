/**
 * Which addresses the platform may connect to for others: those that write rules.
 *
 * The guard looks at the address that is connected to, after the name was resolved, so a name that points to a
 * forbidden address is refused too. Always forbidden: link-local (169.254/16 and fe80::/10: cloud metadata services),
 * unspecified and multicast addresses, and AWS's and Alibaba's metadata services. Loopback and private networks are allowed,
 * because the receivers of a factory are there; `privateNetworks: false` forbids them, for a platform with tenants.
 */
import { lookup } from "node:dns";
import type { LookupAddress, LookupOptions } from "node:dns";
import { BlockList, isIP } from "node:net";
import type { LookupFunction } from "node:net";
import { TidewireError, reasonOf } from "../base/mod.ts";

export interface GuardOptions {
  /** Whether loopback and private networks may be reached. Default true. */
  readonly privateNetworks?: boolean;
}

export const BLOCKED = "this address is not allowed";

export class BlockedAddress extends Error {}

export class OutgoingGuard {
  readonly #blocked: BlockList;
  /** Resolves a name as Node does, and fails with `BlockedAddress` where any of its addresses is forbidden. */
  readonly lookup: LookupFunction;

  constructor({ privateNetworks = true }: GuardOptions = {}) {
    this.#blocked = blockList(privateNetworks);
    this.lookup = (hostname, options, callback) => this.#lookup(hostname, options, callback);
  }

  /** A literal address is never looked up. */
  refuses(host: string): boolean {
    const address = host.replace(/^\[|\]$/g, "");
    const family = isIP(address);
    return family !== 0 && this.#blocked.check(address, family === 6 ? "ipv6" : "ipv4");
  }

  /**
   * The address to connect to, for clients that take no look-up of ours. Rejects with OUTGOING_REFUSED or OUTGOING_FAILED.
   */
  resolve(hostname: string): Promise<string> {
    const host = hostname.replace(/^\[|\]$/g, "");
    if (isIP(host) !== 0) return this.refuses(host) ? Promise.reject(refused(host, BLOCKED)) : Promise.resolve(host);
    return new Promise((found, reject) => {
      this.#lookup(host, {}, (error, address) => {
        if (error === null) found(address as string);
        else if (error instanceof BlockedAddress) reject(refused(host, BLOCKED));
        else reject(new TidewireError("OUTGOING_FAILED", { origin: host, reason: reasonOf(error) }, { cause: error }));
      });
    });
  }

  #lookup(hostname: string, options: LookupOptions, callback: Parameters<LookupFunction>[2]): void {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, "", 0);
      if (addresses.some(({ address }) => this.refuses(address))) return callback(new BlockedAddress(BLOCKED), "", 0);
      if (options.all === true) return callback(null, addresses);
      const first = addresses[0]!;
      return callback(null, first.address, first.family);
    });
  }
}

export function refused(origin: string, reason: string): TidewireError {
  return new TidewireError("OUTGOING_REFUSED", { origin, reason });
}

function blockList(privateNetworks: boolean): BlockList {
  const list = new BlockList();
  list.addSubnet("0.0.0.0", 8, "ipv4"); // "this host": connects to loopback on Linux
  list.addSubnet("169.254.0.0", 16, "ipv4");
  list.addSubnet("224.0.0.0", 3, "ipv4"); // multicast, reserved, broadcast
  list.addAddress("100.100.100.200", "ipv4"); // Alibaba Cloud metadata
  list.addAddress("::", "ipv6");
  list.addSubnet("fe80::", 10, "ipv6");
  list.addSubnet("ff00::", 8, "ipv6");
  list.addAddress("fd00:ec2::254", "ipv6"); // AWS metadata
  if (privateNetworks) return list;
  for (const [net, prefix] of [
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
  ] as const) {
    list.addSubnet(net, prefix, "ipv4");
  }
  list.addAddress("::1", "ipv6");
  list.addSubnet("fc00::", 7, "ipv6");
  list.addSubnet("64:ff9b::", 96, "ipv6"); // NAT64: private IPv4 addresses in disguise
  return list;
}
