/** Secrets for rules: each in a file of its own, as systemd and containers give them, or in a variable of the environment. */
import { open } from "node:fs/promises";

export type SecretSource = { readonly file: string } | { readonly env: string };

/** Read or written by anybody, or written by the group. */
const OPEN_TO_OTHERS = 0o027;

/** Rejects where there is none, or its file is open to others than its owner and group. */
export async function readSecret(source: SecretSource, bytesMax: number): Promise<Uint8Array> {
  if ("env" in source) {
    const text = process.env[source.env];
    if (text === undefined) throw new Error(`the variable ${source.env} is not set`);
    return Buffer.from(text, "utf8");
  }
  const file = await open(source.file, "r");
  try {
    const { mode, size } = await file.stat();
    if ((mode & OPEN_TO_OTHERS) !== 0) {
      throw new Error(`its file has the mode ${(mode & 0o777).toString(8)}; others must not read it: chmod 640`);
    }
    if (size > bytesMax) throw new Error(`it has ${size} bytes, and ${bytesMax} are allowed`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
