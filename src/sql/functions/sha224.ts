import { hashFunction } from "./hash.ts";

export const sha224Function = hashFunction("sha224", "ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193", true);
