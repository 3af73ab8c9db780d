/** Certificate authorities of somebody else, made by the `openssl` program as their owners do. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface OpensslPair {
  readonly cert: string;
  readonly key: string;
}

const AUTHORITY = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n";

export class Openssl {
  readonly #folder: string;
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  authority(subject: string, by?: OpensslPair): OpensslPair {
    return this.#make(subject, AUTHORITY, by, 30);
  }

  /** `days` below zero: it has expired. */
  device(subject: string, by: OpensslPair, extensions = "", days = 10): OpensslPair {
    return this.#make(subject, extensions, by, days);
  }

  #make(subject: string, extensions: string, by: OpensslPair | undefined, days: number): OpensslPair {
    const n = this.#made++;
    const path = (name: string): string => join(this.#folder, `${n}.${name}`);
    const write = (name: string, text: string): string => {
      writeFileSync(path(name), text, { mode: 0o600 });
      return path(name);
    };
    const key = path("key");
    this.#run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key);
    this.#run("req", "-new", "-key", key, "-subj", subject, "-out", path("csr"));
    const issuer =
      by === undefined
        ? ["-signkey", key]
        : ["-CA", write("ca.crt", by.cert), "-CAkey", write("ca.key", by.key), "-set_serial", `0x${n + 10}00`];
    const more = ["-extfile", write("ext", extensions), "-days", `${days}`];
    this.#run("x509", "-req", "-in", path("csr"), "-out", path("crt"), ...issuer, ...more);
    return { cert: readFileSync(path("crt"), "utf8"), key: readFileSync(key, "utf8") };
  }

  #run(...args: readonly string[]): void {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  }
}
