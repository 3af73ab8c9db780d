import { hashFunction } from "./hash.ts";

export const sha384Function = hashFunction(
  "sha384",
  "59e1748777448c69de6b800d7a33bbfb9ff1b463e44354c3553bcdb9c666fa90125a3c79f90397bdf5f6a13de828684f",
  true,
);
