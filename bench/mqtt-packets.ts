/** MQTT 3.1.1 packets for load generators, made beforehand, so that the broker and not its clients is measured. */

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** Of 16,383 bytes behind the length at most. */
export function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

/** Without keep-alive. */
export function connectPacket(clientId: string, { clean = true }: { readonly clean?: boolean } = {}): Buffer {
  return packet(0x10, text("MQTT"), Buffer.from([4, clean ? 2 : 0, 0, 0]), text(clientId));
}
