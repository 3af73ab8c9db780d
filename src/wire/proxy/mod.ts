/** PROXY protocol: whose connection a proxy passes on. */
export { readProxyHeader } from "./proxy-header.ts";
export type { ProxyHeader, ProxyVersion } from "./proxy-header.ts";
