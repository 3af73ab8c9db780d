/** QoS 2 of the load generator, both sides. */
import type { Socket } from "node:net";
import { counted } from "./load-meter.ts";

/** PUBREC for each PUBLISH, PUBCOMP for each PUBREL. */
export function receiveOnce(socket: Socket, frameBytes: number, idAt: number): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const answers: number[] = [];
    let at = 0;
    for (;;) {
      const isPublish = (bytes[at]! & 0xf0) === 0x30;
      const length = isPublish ? frameBytes : 4;
      if (at + length > bytes.length) break;
      const id = at + (isPublish ? idAt : 2);
      if (isPublish) counted.received++;
      else if (bytes[at] !== 0x62) throw new Error(`neither PUBLISH nor PUBREL: ${bytes[at]}`);
      answers.push(isPublish ? 0x50 : 0x70, 2, bytes[id]!, bytes[id + 1]!);
      at += length;
    }
    rest = bytes.subarray(at);
    if (answers.length > 0) socket.write(Buffer.from(answers));
  });
}

/** PUBREL for each PUBREC; `completed` is told how many PUBCOMPs came. */
export function releaseOnce(socket: Socket, completed: (count: number) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const releases: number[] = [];
    let count = 0;
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      if (bytes[at] === 0x50) releases.push(0x62, 2, bytes[at + 2]!, bytes[at + 3]!);
      else if (bytes[at] === 0x70) count++;
      else throw new Error(`neither PUBREC nor PUBCOMP: ${bytes[at]}`);
    }
    rest = bytes.subarray(at);
    if (releases.length > 0) socket.write(Buffer.from(releases));
    completed(count);
  });
}
