/**
 * `@peculiar/x509`, loaded when the first certificate is made: it costs 20 MB, and a start with everything in place needs
 * none of it (`node:crypto` reads certificates).
 */
import type * as X509 from "@peculiar/x509";

export type X509Module = typeof X509;

export async function loadX509(): Promise<X509Module> {
  await import("reflect-metadata"); // must be there before the first decorator of the library runs
  return import("@peculiar/x509");
}
