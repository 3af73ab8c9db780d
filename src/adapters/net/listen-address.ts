/** The address to listen on: `::` takes IPv4 too, but a machine without IPv6 does not know it. */
import { networkInterfaces } from "node:os";
import type { NetworkInterfaceInfo } from "node:os";

type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, "family">[] | undefined>>;

export function listenAddress(bind: string, interfaces: Interfaces = networkInterfaces()): string {
  const hasIpv6 = Object.values(interfaces).some((addresses) => addresses?.some(({ family }) => family === "IPv6"));
  return bind === "::" && !hasIpv6 ? "0.0.0.0" : bind;
}
