import { hashFunction } from "./hash.ts";

export const sha1Function = hashFunction("sha1", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", false);
