export { KeptOwners } from "./kept-owners.ts";
export { KeyLogin } from "./key-login.ts";
export { passwordDesk } from "./password-desk.ts";
export type { NewPassword, PasswordDesk, PasswordFacts } from "./password-desk.ts";
export { tokenRightsOf } from "./named-policies.ts";
export { PasswordLogin } from "./password-login.ts";
export { Review } from "./review.ts";
export { signerOf } from "./signed-upgrade.ts";
export { TokenLogin } from "./token-login.ts";
