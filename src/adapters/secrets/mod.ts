export { damagedSecrets } from "./checksums.ts";
export { openSecrets } from "./secrets.ts";
export type { SecretFile, Secrets, SecretsOptions } from "./secrets.ts";
