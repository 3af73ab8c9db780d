import { hashFunction } from "./hash.ts";

export const md5Function = hashFunction("md5", "5d41402abc4b2a76b9719d911017c592", false);
