/**
 * Bytes of all sockets are read into one buffer. Node allocates 64 KiB for each read otherwise, whatever arrives: with many
 * publishers that is hundreds of megabytes a second, and the garbage collector took a quarter of the processor's time.
 */
import type { Socket } from "node:net";

const SHARED_BYTES = 64 * 1024;
const shared = new Uint8Array(SHARED_BYTES);

/** The same for all sockets. */
let slots: readonly [buffer: symbol | undefined, callback: symbol | undefined] | null = null;

/** What `net.Socket` sets for its option `onread`, which it takes only where it connects itself. */
type Reading = Socket & {
  readonly _handle: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null;
  [symbol: symbol]: unknown;
};

type Receive = (bytes: Uint8Array, end: number) => void;

/** Calls `receive` for all that arrives, which is `bytes[0, end)` and valid until it returns. */
export function readShared(socket: Socket, receive: Receive): void {
  if (!takeShared(socket as Reading, receive)) {
    socket.on("data", (bytes: Uint8Array) => receive(bytes, bytes.length));
    return;
  }
  const early = socket.read() as Uint8Array | null; // what was read while it was not known who would serve it
  if (early !== null) receive(early, early.length);
  socket.resume();
}

/** False where this Node does it another way. */
function takeShared(socket: Reading, receive: Receive): boolean {
  slots ??= slotsOf(socket);
  const [buffer, callback] = slots;
  const handle = socket._handle;
  if (buffer === undefined || callback === undefined || handle?.useUserBuffer === undefined) return false;
  handle.useUserBuffer(shared);
  socket[buffer] = shared;
  socket[callback] = (length: number): boolean => {
    receive(shared, length); // a view of its own for each read would be garbage
    return true;
  };
  return true;
}

function slotsOf(socket: Reading): readonly [buffer: symbol | undefined, callback: symbol | undefined] {
  const symbols = new Map(Object.getOwnPropertySymbols(socket).map((symbol) => [symbol.description, symbol]));
  return [symbols.get("kBuffer"), symbols.get("kBufferCb")];
}
