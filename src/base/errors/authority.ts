/** Errors of certificate authorities and of devices that renew; part of the one catalogue in `catalogue.ts`. */
import type { ErrorEntry } from "./catalogue.ts";

export const AUTHORITY_ERRORS = {
  CA_KEY_LOCKED: {
    fault: "misuse",
    message: "The key in {path} is encrypted, and no passphrase was given.",
    fix: "Give it with `--ca-passphrase-file FILE`, TIDEWIRE_CA_PASSPHRASE, or systemd's `LoadCredential=tidewire-ca-passphrase:FILE`.",
    exit: 3,
  },
  CA_PASSPHRASE_WRONG: {
    fault: "misuse",
    message: "The passphrase does not open the key in {path}.",
    fix: "Give the passphrase that the keys were last encrypted with; without it they are lost, and a backup's need that backup's.",
    exit: 3,
  },
  CA_PASSPHRASE_UNUSABLE: {
    fault: "misuse",
    message: "The passphrase from {source} cannot be used: {reason}.",
    fix: "Put one line of text into the file, or 32 random bytes (`openssl rand -out FILE 32`), readable by the user that runs Tidewire.",
    exit: 2,
  },
  CA_ROOT_OFFLINE: {
    fault: "misuse",
    message: "The root's key is needed to {purpose}, and it is kept elsewhere.",
    fix: "Stop the platform, bring the key with `tidewire ca import FILE`, start the platform, and take the key away again with `tidewire ca export-root FILE`.",
    http: 409,
    exit: 4,
  },
  TOKEN_UNUSABLE: {
    fault: "environment",
    message: "The key {uri} cannot be used: {reason}.",
    fix: "Check the token, its PIN file and the module's path; `npm install pkcs11js` beside Tidewire, which does not bring it.",
    http: 503,
    exit: 3,
  },
  FILE_UNWRITABLE: {
    fault: "environment",
    message: "The file {path} cannot be written: {reason}.",
    fix: "Name a file that does not exist yet, in a folder that this user may write to.",
    exit: 3,
  },
  CA_REFUSED: {
    fault: "misuse",
    message: "The certificate authority cannot do that: {reason}.",
    fix: "{remedy}",
    http: 409,
    exit: 4,
  },
  RENEWAL_REFUSED: {
    fault: "peer",
    message: "The certificate is not renewed: {reason}.",
    fix: "{remedy}",
    http: 403,
  },
  CLIENT_CERTIFICATE_NEEDED: {
    fault: "peer",
    message: "This is for devices that show their certificate, and {reason}.",
    fix: "Connect to the HTTPS port with the device's certificate and private key.",
    http: 401,
  },
} as const satisfies Record<string, ErrorEntry>;
